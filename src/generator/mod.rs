//! The generator: the stages, wired.

mod latents;
mod perform;
mod planning;
mod read;
mod stream;
mod waveform;

use std::collections::BTreeMap;
use std::path::Path;

use musicot_clap::{AudioTextEncoder, Clap};
use musicot_codec::{AudioCodec, Oobleck, SpectralCodec};
use musicot_core::device;
use musicot_core::tch::Device;
use musicot_diffusion::{Denoiser, Dit, Sampler};
use musicot_lm::{MusicLm, WeightKind};
use musicot_rvq::{RvqModel, VectorQuantizer};

pub use stream::SongStream;

use crate::{
    Brief, Bundle, Error, MemoryMode, MusicPlan, Part, Parts, Progress, Request, Result, Seeds, Settings,
    Song, Stage,
};

/// Text or reference audio in, a song out, by way of a plan that can be read and changed.
///
/// ```no_run
/// use musicot::{Generator, Quiet};
/// let mut generator = Generator::from_bundle("models/mini")?;
/// let request = generator.request("calm jazz with piano and bass at 90 bpm").duration_secs(30.0).seed(7);
/// let plan = generator.plan(&request, &mut Quiet)?;
/// let curves = generator.analyze(&plan, &["piano", "drums"])?;
/// println!("{curves}");
/// generator.perform(&plan, &request.settings, &mut Quiet)?.save("out/song")?;
/// # Ok::<(), musicot::Error>(())
/// ```
pub struct Generator {
    parts: Parts,
    settings: Settings,
    name: String,
    sha256: BTreeMap<String, String>,
    device: Device,
    memory: MemoryMode,
    /// Of the last stream, which borrows it.
    sampler: Option<Sampler>,
}

impl Generator {
    /// Opens a bundle on the CPU; stages are loaded when they are first needed.
    ///
    /// # Errors
    /// [`Error::Bundle`] names what is missing or changed.
    pub fn from_bundle(root: impl AsRef<Path>) -> Result<Self> {
        Self::open(&Bundle::open(root)?, Device::Cpu)
    }

    /// Makes a generator of an opened bundle on a device. On the CPU the language model decodes with [`musicot_lm::FastLlama`] and weights in f32.
    ///
    /// For libtorch's own decoder, or for smaller weights:
    ///
    /// ```no_run
    /// use musicot::{Bundle, Generator, Stage, lm::{MusicLm, WeightKind}, tch::Device};
    /// let bundle = Bundle::open("models/mini")?;
    /// let dir = bundle.stage_dir(Stage::Lm)?;
    /// let slow = Generator::open(&bundle, Device::Cpu)?.with_lm(MusicLm::load(&dir, Device::Cpu)?);
    /// let small = Generator::open(&bundle, Device::Cpu)?.with_lm(MusicLm::load_fast(&dir, WeightKind::Int8)?);
    /// # Ok::<(), musicot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Bundle`] for a stage that is missing or of an unknown kind.
    pub fn open(bundle: &Bundle, device: Device) -> Result<Self> {
        let (clap, _) = bundle.known_stage(Stage::Clap)?;
        let (rvq, _) = bundle.known_stage(Stage::Rvq)?;
        let (lm, _) = bundle.known_stage(Stage::Lm)?;
        let (diffusion, _) = bundle.known_stage(Stage::Diffusion)?;
        let (codec, codec_kind) = bundle.known_stage(Stage::Codec)?;
        let config = bundle.config();
        let parts = Parts {
            encoder: Part::<dyn AudioTextEncoder>::lazy(move || Ok(Box::new(Clap::load(&clap, device)?))),
            quantizer: Part::<dyn VectorQuantizer>::lazy(move || Ok(Box::new(RvqModel::load(&rvq, device)?))),
            lm: Part::lazy(move || Ok(Box::new(load_lm(&lm, device)?))),
            denoiser: Part::<dyn Denoiser>::lazy(move || Ok(Box::new(Dit::load(&diffusion, device)?))),
            codec: Part::lazy(move || load_codec(codec_kind, &codec, device)),
        };
        let settings = Settings {
            seeds: Seeds::default(),
            policy: config.defaults.policy,
            drafts: config.defaults.drafts,
            diffusion: config.defaults.diffusion.clone(),
            windows: config.defaults.windows.clone(),
        };
        let made = Self::from_parts(config.name.clone(), parts, settings, device);
        Ok(Self { sha256: bundle.hashes(), ..made })
    }

    /// Makes a generator of stages from anywhere: of a published CLAP, say, one's own language model and a published autoencoder.
    /// `name` is what the manifests of its songs call it; `device` is where inputs are put, and where every stage must be.
    pub fn from_parts(name: impl Into<String>, parts: Parts, settings: Settings, device: Device) -> Self {
        let (name, sha256, memory) = (name.into(), BTreeMap::new(), MemoryMode::default());
        Self { parts, settings, name, sha256, device, memory, sampler: None }
    }

    /// Sets how long stages stay in memory.
    #[must_use]
    pub fn with_memory(mut self, memory: MemoryMode) -> Self {
        self.memory = memory;
        self
    }

    /// Puts the caller's own encoder in the place of CLAP.
    #[must_use]
    pub fn with_encoder(mut self, encoder: Box<dyn AudioTextEncoder>) -> Self {
        self.parts.encoder = Part::ready(encoder);
        self
    }

    /// Puts the caller's own quantiser in the place of the RVQ.
    #[must_use]
    pub fn with_quantizer(mut self, quantizer: Box<dyn VectorQuantizer>) -> Self {
        self.parts.quantizer = Part::ready(quantizer);
        self
    }

    /// Puts another language model in place; [`MusicLm::with_decoder`] takes the caller's own decoder.
    #[must_use]
    pub fn with_lm(mut self, lm: MusicLm) -> Self {
        self.parts.lm = Part::ready(Box::new(lm));
        self
    }

    /// Puts the caller's own denoiser in the place of the diffusion transformer.
    #[must_use]
    pub fn with_denoiser(mut self, denoiser: Box<dyn Denoiser>) -> Self {
        self.parts.denoiser = Part::ready(denoiser);
        self
    }

    /// Puts the caller's own codec in place.
    #[must_use]
    pub fn with_codec(mut self, codec: Box<dyn AudioCodec>) -> Self {
        self.parts.codec = Part::ready(codec);
        self
    }

    /// The settings that the bundle asks for, with seed 0.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A request for a song of 30 s with the bundle's settings.
    pub fn request(&self, prompt: &str) -> Request {
        let brief = Brief { prompt: prompt.to_owned(), ..Brief::default() };
        Request { brief, references: Vec::new(), settings: self.settings.clone() }
    }

    /// Where the models are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Plans and performs.
    ///
    /// # Errors
    /// See [`Generator::plan`] and [`Generator::perform`].
    pub fn generate(&mut self, request: &Request, progress: &mut dyn Progress) -> Result<Song> {
        let (plan, timings) = self.plan_timed(request, progress)?;
        self.perform_timed(&plan, &request.settings, timings, progress)
    }

    /// Writes a plan: of [`Settings::drafts`] plans the one that fits the prompt best.
    ///
    /// # Errors
    /// A brief out of range or empty, a reference that cannot be read, or [`musicot_core::Error::Stopped`].
    pub fn plan(&mut self, request: &Request, progress: &mut dyn Progress) -> Result<MusicPlan> {
        Ok(self.plan_timed(request, progress)?.0)
    }

    /// All the plans that [`Generator::plan`] chooses from, the best first: to be read, compared, and only then performed.
    ///
    /// ```no_run
    /// use musicot::{Generator, Quiet};
    /// let mut generator = Generator::from_bundle("models/mini")?;
    /// let request = generator.request("a solo violin").drafts(32);
    /// for plan in generator.drafts(&request, &mut Quiet)?.iter().take(3) {
    ///     println!("{:?}\n{}", plan.fit(), generator.analyze(plan, &["violin", "drums"])?);
    /// }
    /// # Ok::<(), musicot::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Generator::plan`].
    pub fn drafts(&mut self, request: &Request, progress: &mut dyn Progress) -> Result<Vec<MusicPlan>> {
        Ok(self.drafts_timed(request, progress)?.0)
    }

    /// Performs a plan: tokens, latents, waveform.
    ///
    /// # Errors
    /// A plan that does not fit the models, or [`musicot_core::Error::Stopped`].
    pub fn perform(
        &mut self,
        plan: &MusicPlan,
        settings: &Settings,
        progress: &mut dyn Progress,
    ) -> Result<Song> {
        self.perform_timed(plan, settings, Vec::new(), progress)
    }

    /// Plans, then streams: the audio comes in pieces while the rest is still being written. The first piece is as long as the first window of the
    /// diffusion ([`Settings::windows`]), less its look-ahead.
    ///
    /// ```no_run
    /// use musicot::{Generator, Quiet};
    /// let mut generator = Generator::from_bundle("models/mini")?;
    /// let request = generator.request("calm jazz with piano and bass at 90 bpm").duration_secs(600.0);
    /// for piece in generator.generate_stream(&request, &mut Quiet)? {
    ///     println!("{:.1} s more", piece?.duration_secs()); // to the sound card, a socket, a file
    /// }
    /// # Ok::<(), musicot::Error>(())
    /// ```
    ///
    /// # Errors
    /// See [`Generator::plan`] and [`Generator::perform_stream`].
    pub fn generate_stream(
        &mut self,
        request: &Request,
        progress: &mut dyn Progress,
    ) -> Result<SongStream<'_>> {
        let (plan, timings) = self.plan_timed(request, progress)?;
        self.stream(&plan, &request.settings, timings)
    }

    /// Performs a plan piece by piece; whoever drops the stream stops the work.
    ///
    /// # Errors
    /// A plan that does not fit the models; [`MemoryMode::OneStage`], since three stages work by turns.
    pub fn perform_stream(&mut self, plan: &MusicPlan, settings: &Settings) -> Result<SongStream<'_>> {
        self.stream(plan, settings, Vec::new())
    }

    fn device_name(&self) -> String {
        device::name(self.device)
    }
}

/// Loads the language model with the decoder that is fastest on the device.
fn load_lm(dir: &Path, device: Device) -> Result<MusicLm> {
    Ok(match device {
        Device::Cpu => MusicLm::load_fast(dir, WeightKind::F32)?,
        _ => MusicLm::load(dir, device)?,
    })
}

/// Loads a codec of one of [`Stage::kinds`].
fn load_codec(kind: &str, dir: &Path, device: Device) -> Result<Box<dyn AudioCodec>> {
    Ok(match kind {
        "oobleck" => Box::new(Oobleck::load(dir, device)?),
        _ => Box::new(SpectralCodec::load(dir, device)?),
    })
}

/// Values of a unit-length copy of a vector.
fn unit(values: Vec<f32>) -> Result<Vec<f32>> {
    let norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if norm.is_nan() || norm <= 1e-6 {
        return Err(Error::input("embedding", "has no direction"));
    }
    Ok(values.into_iter().map(|v| (f64::from(v) / norm) as f32).collect())
}
