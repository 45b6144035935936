//! From true tokens to audio.

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::codec::{AudioCodec, NoteTokenizer, SemanticTokenizer, SpectralCodec, resample};
use musicot::core::AudioBuffer;
use musicot::core::tch::Tensor;
use musicot::core::train::Record;
use musicot::diffusion::{DiffusionSession, Dit, Sampler, Score, SessionConfig, render};
use musicot::rvq::{RvqModel, VectorQuantizer};
use musicot_eval::flux::FluxCurve;
use musicot_eval::statistics::bootstrap_mean;

use crate::Context;
use crate::common::Outcome;
use crate::compare::{Heard, Likeness, as_long_as, chance, rng};
use crate::corpus::{audio, caption, spread, tell, tokens, unit};
use crate::report::Figure;

/// Least chroma similarity and onset F1.
const TARGETS: (f64, f64) = (0.75, 0.5);

pub fn figures(context: &Context) -> Outcome<Vec<Figure>> {
    let renderer = Renderer::load(context)?;
    let records = spread(context.heldout.records(), Some(context.options.pieces_decoded()));
    let (mut copies, mut originals, mut seams) = (Likeness::default(), Vec::new(), Vec::new());
    for (index, record) in records.iter().enumerate() {
        tell("tokens", index, records.len(), record);
        let original = audio(&context.heldout, &record.audio, renderer.codec.sample_rate_hz())?;
        let heard = Heard::of(&original)?;
        let copy = renderer.again(&original, record, index)?;
        copies.push(&heard, &copy)?;
        seams.extend(renderer.seams(&copy)?);
        originals.push(heard);
    }
    let mut figures = vec![Figure::of("pieces", originals.len() as f64)];
    figures.extend(copies.figures("tokens to audio", Some(TARGETS))?);
    figures.extend(seam_figures(&seams)?);
    figures.extend(chance(&originals)?);
    Ok(figures)
}

/// Spectral flux where windows join, as shares of its 95th percentile elsewhere in the same piece.
fn seam_figures(seams: &[f64]) -> Outcome<Vec<Figure>> {
    let name = "flux at seams of windows, of the 95th percentile elsewhere";
    if seams.is_empty() {
        return Ok(vec![Figure::missing(name, "no piece is longer than a window")]);
    }
    let above = seams.iter().filter(|share| **share > 1.0).count() as f64 / seams.len() as f64;
    Ok(vec![
        Figure::of("seams", seams.len() as f64),
        Figure::mean(name, bootstrap_mean(seams, rng())?).at_most(1.0),
        Figure::of("share of seams above it (0.05 by chance)", above),
    ])
}

struct Renderer {
    clap: Clap,
    rvq: RvqModel,
    semantic: NoteTokenizer,
    denoiser: Dit,
    codec: SpectralCodec,
    sampler: Sampler,
    windows: SessionConfig,
}

impl Renderer {
    fn load(context: &Context) -> Outcome<Self> {
        let stages = &context.stages;
        let (sampler, windows) = stages.diffusion_settings();
        let (codec, semantic) = (stages.codec()?, stages.semantic()?);
        if codec.sample_rate_hz() != semantic.sample_rate_hz() || codec.hop_frames() != semantic.hop_frames()
        {
            return Err("codec and semantic tokeniser do not have the same rates".into());
        }
        Ok(Self {
            clap: stages.clap()?,
            rvq: stages.rvq()?,
            semantic,
            denoiser: stages.diffusion()?,
            codec,
            sampler: Sampler::new(sampler)?,
            windows,
        })
    }

    /// A piece made again from its own tokens, thoughts and caption.
    fn again(&self, original: &AudioBuffer, record: &Record, number: usize) -> Outcome<AudioBuffer> {
        let ids = tokens(&self.semantic, original)?;
        let score = Score {
            thoughts: Some(self.thoughts(original)?.f_unsqueeze(0)?),
            text: Some(self.clap.embed_text(&[caption(record)?])?),
            streams: vec![rng().stage("diffusion").item(number as u64)],
        };
        let session = DiffusionSession::new(&self.denoiser, &self.sampler, self.windows.clone(), score)?;
        let latents = render(session, &Tensor::f_from_slice(&ids)?.f_unsqueeze(0)?)?;
        as_long_as(original, &self.codec.decode(&latents)?)
    }

    /// Flux at every seam of a rendered piece, as a share of its 95th percentile elsewhere.
    fn seams(&self, rendered: &AudioBuffer) -> Outcome<Vec<f64>> {
        let frame_secs = 1.0 / self.codec.frame_rate_hz();
        let frames = (rendered.duration_secs() / frame_secs).ceil() as usize;
        let times: Vec<f64> =
            self.windows.seams(frames).into_iter().map(|frame| frame as f64 * frame_secs).collect();
        if times.is_empty() {
            return Ok(Vec::new());
        }
        let test = FluxCurve::of(rendered)?.seams(&times)?;
        Ok(test.at_seams.iter().map(|flux| flux / test.elsewhere_p95.max(f64::MIN_POSITIVE)).collect())
    }

    /// Thoughts `[windows, dim]` as a plan would hold them: quantised, of unit length.
    fn thoughts(&self, original: &AudioBuffer) -> Outcome<Tensor> {
        let at_clap = resample(original, self.clap.sample_rate_hz())?;
        let windows = self.clap.embed_windows(&at_clap, self.clap.window_samples())?;
        unit(&self.rvq.decode(&self.rvq.encode(&windows)?)?)
    }
}
