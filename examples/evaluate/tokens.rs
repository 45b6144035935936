//! From true tokens to audio.

use musicot::codec::AudioCodec;

use crate::Context;
use crate::common::Outcome;
use crate::compare::{Heard, Likeness, chance};
use crate::corpus::{audio, spread, tell};
use crate::figure::Figure;
use crate::notes::{Clips, ORIGINAL};
use crate::renderer::{Given, Renderer};
use crate::seams;

/// Least chroma similarity and onset F1.
const TARGETS: (f64, f64) = (0.88, 0.6);

/// Least F1 of notes.
const NOTES: f64 = 0.5;

pub fn figures(context: &Context) -> Outcome<Vec<Figure>> {
    let renderer = Renderer::load(context)?;
    let records = spread(context.heldout.records(), Some(context.options.pieces_decoded()));
    let (mut copies, mut originals, mut joints) = (Likeness::default(), Vec::new(), Vec::new());
    let mut clips = Clips::new(context.options.transcriber.as_deref())?;
    for (index, record) in records.iter().enumerate() {
        tell("tokens", index, records.len(), record);
        let original = audio(&context.heldout, &record.audio, renderer.codec.sample_rate_hz())?;
        let heard = Heard::of(&original)?;
        let copy = renderer.render(&original, &renderer.truth(&original, record)?, Given::ALL, index)?;
        clips.add(ORIGINAL, index, &original)?;
        clips.add("tokens", index, &copy)?;
        copies.push(&heard, &copy)?;
        joints.extend(seams::flux(&renderer.windows, renderer.codec.frame_rate_hz(), &copy)?);
        originals.push(heard);
    }
    let (pieces, notes) = (originals.len(), clips.transcribe());
    let mut figures = vec![Figure::of("pieces", pieces as f64)];
    figures.extend(copies.figures("tokens to audio", Some(TARGETS))?);
    figures.push(notes.figure("tokens to audio: note F1", "tokens", pieces)?.at_least(NOTES));
    figures.extend(seams::figures(&joints, "no piece is longer than a window")?);
    figures.extend(chance(&originals)?);
    figures.push(notes.chance(pieces)?);
    Ok(figures)
}
