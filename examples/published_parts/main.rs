//! A generator of parts: a published CLAP, a published autoencoder, and a language model and a diffusion transformer of one's own.

#[path = "../common/mod.rs"]
mod common;
mod own;
mod published;
mod sizes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use common::{Bar, Outcome, note, say, say_files};
use lexopt::ValueExt;
use musicot::clap::{AudioTextEncoder, Clap};
use musicot::codec::{AudioCodec, Oobleck};
use musicot::core::tch::Device;
use musicot::diffusion::{Denoiser, Dit, SamplerConfig, SessionConfig};
use musicot::lm::MusicLm;
use musicot::rvq::{RvqModel, VectorQuantizer};
use musicot::sampling::PhasePolicy;
use musicot::{Brief, Generator, MemoryMode, Part, Parts, Request, Seeds, Settings};
use own::Frame;
use sizes::Sizes;

const HELP: &str = "\
Generates with a published CLAP and a published autoencoder around a language model and a diffusion transformer of your own.

Usage: published_parts [--clap DIR] [--vae DIR] [flags]

  published_parts --size small                  seconds of work
  published_parts                               the sizes of the paper's system
  published_parts --clap larger_clap_music --vae stable-audio-open-1.0/vae

Parts that are not given are made with random weights, once: what comes out is noise until language model and diffusion are trained for
the two published parts (`train encode`, `train lm`, `train diffusion`). At full size they take 5 GB of disk, and 5 GB of memory, as one
part is in memory at a time; on two busy cores, 5 s of sound took a quarter of an hour.

  --clap DIR        directory of a published CLAP
  --vae DIR         directory of a published autoencoder of Stable Audio's kind
  --size S          of the parts that are made: full or small [full]
  --parts DIR       where they are kept [out/published_parts/SIZE]
  --prompt TEXT     [calm piano]
  --seconds S       [5]
  --steps N         of the diffusion's solver [4]
  --seed N          [0]
  --threads N       threads of libtorch [2, or as many as the machine has]
  --out DIR         [out/published_parts/song]
";

struct Options {
    clap: Option<PathBuf>,
    vae: Option<PathBuf>,
    size: String,
    parts: Option<PathBuf>,
    prompt: String,
    secs: f64,
    steps: usize,
    seed: u64,
    out: PathBuf,
}

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Outcome {
    let (mut o, mut threads) = (Options::default(), None);
    let go = common::flags(HELP, |name, args| {
        match name {
            "clap" => o.clap = Some(args.value()?.into()),
            "vae" => o.vae = Some(args.value()?.into()),
            "size" => o.size = args.value()?.string()?,
            "parts" => o.parts = Some(args.value()?.into()),
            "prompt" => o.prompt = args.value()?.string()?,
            "seconds" => o.secs = args.value()?.parse()?,
            "steps" => o.steps = args.value()?.parse()?,
            "seed" => o.seed = args.value()?.parse()?,
            "out" => o.out = args.value()?.into(),
            "threads" => threads = Some(common::positive(args.value()?.parse()?)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if !go {
        return Ok(());
    }
    common::set_threads(threads, 2);
    common::writable(&o.out)?;
    let request = request(&o);
    request.validate()?;
    let dirs = Dirs::make(&o)?;
    let mut generator =
        Generator::from_parts("published_parts", dirs.parts(), request.settings.clone(), Device::Cpu)
            .with_memory(MemoryMode::OneStage);
    let song = generator.generate(&request, &mut Bar::new())?;
    song.save(&o.out)?;
    let (length, work) =
        (song.audio.duration_secs(), song.manifest.timings.iter().map(|t| t.secs).sum::<f64>());
    say(format_args!("{length:.1} s of {} channels in {work:.1} s", song.audio.channels()))?;
    say_files(&o.out, &["song.wav", "plan.json", "manifest.json"])
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clap: None,
            vae: None,
            size: "full".to_owned(),
            parts: None,
            prompt: "calm piano".to_owned(),
            secs: 5.0,
            steps: 4,
            seed: 0,
            out: "out/published_parts/song".into(),
        }
    }
}

fn request(o: &Options) -> Request {
    let settings = Settings {
        seeds: Seeds::from(o.seed),
        policy: PhasePolicy::paper(),
        drafts: 1,
        diffusion: SamplerConfig { steps: o.steps, ..SamplerConfig::default() },
        windows: SessionConfig::default(),
    };
    let brief = Brief { prompt: o.prompt.clone(), duration_secs: o.secs, ..Brief::default() };
    Request { brief, references: Vec::new(), settings }
}

/// Where each part is.
struct Dirs {
    clap: PathBuf,
    vae: PathBuf,
    rvq: PathBuf,
    lm: PathBuf,
    diffusion: PathBuf,
}

impl Dirs {
    /// Makes the parts that are neither given nor there.
    fn make(o: &Options) -> Outcome<Self> {
        let sizes = Sizes::named(&o.size)?;
        let root = o.parts.clone().unwrap_or_else(|| Path::new("out/published_parts").join(&o.size));
        let at = |name: &str| root.join(name);
        let clap = match &o.clap {
            Some(dir) => dir.clone(),
            None => once(at("clap"), |dir| published::clap(dir, &sizes.clap))?,
        };
        let vae = match &o.vae {
            Some(dir) => dir.clone(),
            None => once(at("vae"), |dir| published::vae(dir, &sizes.vae))?,
        };
        let frame = Frame::of(&clap, &vae)?;
        Ok(Self {
            rvq: once(at("rvq"), |dir| own::rvq(dir, &sizes, &frame))?,
            lm: once(at("lm"), |dir| own::lm(dir, &sizes, &frame))?,
            diffusion: once(at("diffusion"), |dir| own::diffusion(dir, &sizes, &frame))?,
            clap,
            vae,
        })
    }

    /// Nothing is loaded yet.
    fn parts(self) -> Parts {
        let Self { clap, vae, rvq, lm, diffusion } = self;
        Parts {
            encoder: Part::<dyn AudioTextEncoder>::lazy(move || {
                Ok(Box::new(Clap::load(&clap, Device::Cpu)?))
            }),
            quantizer: Part::<dyn VectorQuantizer>::lazy(move || {
                Ok(Box::new(RvqModel::load(&rvq, Device::Cpu)?))
            }),
            lm: Part::lazy(move || Ok(Box::new(MusicLm::load(&lm, Device::Cpu)?))),
            denoiser: Part::<dyn Denoiser>::lazy(move || Ok(Box::new(Dit::load(&diffusion, Device::Cpu)?))),
            codec: Part::<dyn AudioCodec>::lazy(move || Ok(Box::new(Oobleck::load(&vae, Device::Cpu)?))),
        }
    }
}

/// Makes a directory, unless it is there. It appears whole.
fn once(dir: PathBuf, make: impl FnOnce(&Path) -> Outcome) -> Outcome<PathBuf> {
    if !dir.exists() {
        note(format_args!("making random weights: {}", dir.display()));
        let partial = dir.with_extension("partial");
        make(&partial)?;
        std::fs::rename(&partial, &dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    Ok(dir)
}
