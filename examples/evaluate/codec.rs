//! Codec round trip.

use musicot::codec::{AudioCodec, SpectralCodec};
use musicot::core::AudioBuffer;
use musicot_eval::baseline::BandBaseline;

use crate::Context;
use crate::common::Outcome;
use crate::compare::{Heard, Likeness, as_long_as, chance};
use crate::corpus::{audio, samples, spread, tell};
use crate::figure::Figure;
use crate::notes::{Clips, ORIGINAL};

/// Least chroma similarity and onset F1.
const TARGETS: (f64, f64) = (0.97, 0.85);

/// Least F1 of notes.
const NOTES: f64 = 0.8;

pub fn figures(context: &Context) -> Outcome<Vec<Figure>> {
    let codec = context.stages.codec()?;
    let records = spread(context.heldout.records(), Some(context.options.pieces_decoded()));
    let (mut copies, mut baselines, mut ceilings) =
        (Likeness::default(), Likeness::default(), Likeness::default());
    let (mut originals, mut clips) = (Vec::new(), Clips::new(context.options.transcriber.as_deref())?);
    let values_per_sec = codec.latent_dim() as f64 * codec.frame_rate_hz();
    for (index, record) in records.iter().enumerate() {
        tell("codec", index, records.len(), record);
        let original = audio(&context.heldout, &record.audio, codec.sample_rate_hz())?;
        let heard = Heard::of(&original)?;
        let copy = round_trip(&codec, &original)?;
        clips.add(ORIGINAL, index, &original)?;
        clips.add("codec", index, &copy)?;
        copies.push(&heard, &copy)?;
        baselines.push(&heard, &BandBaseline::default().run(&original, values_per_sec)?)?;
        ceilings.push(&heard, &true_magnitudes(&codec, &original)?)?;
        originals.push(heard);
    }
    let (pieces, notes) = (originals.len(), clips.transcribe());
    let mut figures = vec![Figure::of("pieces", pieces as f64)];
    figures.extend(copies.figures("codec", Some(TARGETS))?);
    figures.push(notes.figure("codec: note F1", "codec", pieces)?.at_least(NOTES));
    let name = format!("Griffin-Lim with {values_per_sec} values per second");
    figures.extend(baselines.figures(&name, None)?);
    figures.extend(copies.figures_above(&baselines, "Griffin-Lim")?);
    figures.extend(ceilings.figures("ceiling, true magnitudes", None)?);
    figures.extend(chance(&originals)?);
    figures.push(notes.chance(pieces)?);
    Ok(figures)
}

/// To latents and back.
pub fn round_trip(codec: &SpectralCodec, original: &AudioBuffer) -> Outcome<AudioBuffer> {
    let latents = codec.encode(&samples(original)?.f_unsqueeze(1)?)?;
    as_long_as(original, &codec.decode(&latents)?)
}

/// What an ideal network around the same transform would give.
fn true_magnitudes(codec: &SpectralCodec, original: &AudioBuffer) -> Outcome<AudioBuffer> {
    let hop = codec.hop_frames();
    let missing = (hop - original.frames() as i64 % hop) % hop;
    let padded = samples(original)?.f_constant_pad_nd([0, missing])?;
    as_long_as(original, &codec.render(&codec.magnitudes().analyse(&padded)?)?)
}
