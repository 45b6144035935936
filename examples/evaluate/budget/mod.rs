//! The error budget: the truth is fed into each stage in turn.

mod chain;
mod judge;
mod terms;

use musicot::codec::AudioCodec;
use musicot::core::tensor;
use musicot::core::train::Record;
use musicot::{Generator, MusicPlan, Quiet};
use ndarray::Array2;

use crate::Context;
use crate::codec::round_trip;
use crate::common::Outcome;
use crate::corpus::{audio, caption, head, rows, spread, tell};
use crate::notes::{Clips, ORIGINAL};
use crate::renderer::{Given, Renderer, Truth};
use crate::report::Measured;

use chain::{CHAINS, Chain, Link};
use judge::Judge;

/// Seed of the plans and tokens that the language model writes.
const SEED: u64 = 1;

pub fn figures(context: &Context) -> Outcome<Measured> {
    let renderer = Renderer::load(context)?;
    let mut generator = context.stages.generator()?;
    let records = spread(context.heldout.records(), Some(context.options.pieces_decoded()));
    let judge = Judge::new(context, &renderer.clap, renderer.codec.sample_rate_hz(), &records)?;
    let mut chains: Vec<Chain> = CHAINS.iter().map(|link| Chain::new(*link)).collect();
    let mut clips = Clips::new(context.options.transcriber.as_deref())?;
    for (index, record) in records.iter().enumerate() {
        tell("budget", index, records.len(), record);
        let piece = audio(&context.heldout, &record.audio, renderer.codec.sample_rate_hz())?;
        let original = head(&piece, context.options.secs)?;
        let truth = renderer.truth(&original, record)?;
        let plans = plans(&mut generator, record, original.duration_secs(), &truth)?;
        let heard = judge.piece(&original, record, &truth.text)?;
        for chain in &mut chains {
            let clip = match chain.link {
                Link::Original => original.clone(),
                Link::Codec => round_trip(&renderer.codec, &original)?,
                Link::Diffusion(given) => renderer.render(&original, &truth, given, index)?,
                Link::TruePlan => perform(&mut generator, &plans.0)?,
                Link::OwnPlan => perform(&mut generator, &plans.1)?,
            };
            if chain.link.is_paired() {
                clips.add(chain.link.file(), index, &clip)?;
            }
            chain.push(judge.clip(&heard, &clip, chain.link.is_paired())?);
        }
    }
    let notes = clips.transcribe();
    if notes.is_measured() {
        for chain in chains.iter_mut().filter(|chain| chain.link.is_paired()) {
            chain.notes = notes.f1(chain.link.file(), records.len())?;
        }
    }
    let mut found = terms::figures(&chains, &judge)?;
    found.tables.insert(0, chain::table(&chains, &judge)?);
    if !notes.is_measured() {
        found.figures.push(notes.figure("note F1 of all chains", ORIGINAL, records.len())?);
    }
    Ok(found)
}

/// The plan that is true of a piece, and that which the language model writes for its caption.
fn plans(
    generator: &mut Generator,
    record: &Record,
    secs: f64,
    truth: &Truth,
) -> Outcome<(MusicPlan, MusicPlan)> {
    let request = generator.request(caption(record)?).duration_secs(secs).seed(SEED);
    let written = generator.plan(&request, &mut Quiet)?;
    // A recording may be a few samples short of its last window.
    let levels = truth.codes.size()[1] as usize;
    let codes =
        Array2::from_shape_vec((truth.codes.size()[0] as usize, levels), tensor::to_ids(&truth.codes)?)?;
    let embeddings = rows(&truth.thoughts)?;
    let place = |window: usize| window.min(codes.nrows() - 1);
    let windows = written.windows();
    let of_truth = MusicPlan {
        codes: Array2::from_shape_fn((windows, levels), |(window, level)| codes[[place(window), level]]),
        embeddings: Array2::from_shape_fn((windows, embeddings.ncols()), |(w, d)| embeddings[[place(w), d]]),
        fixed: Array2::from_elem((windows, levels), true),
        ..written.clone()
    };
    Ok((of_truth, written))
}

fn perform(generator: &mut Generator, plan: &MusicPlan) -> Outcome<musicot::core::AudioBuffer> {
    let mut settings = generator.settings().clone();
    settings.seeds = SEED.into();
    Ok(generator.perform(plan, &settings, &mut Quiet)?.audio)
}

/// What the diffusion is told in the chains that differ by it.
const TOLD: [Given; 4] = [
    Given::ALL,
    Given { thoughts: false, text: true },
    Given { thoughts: true, text: false },
    Given { thoughts: false, text: false },
];
