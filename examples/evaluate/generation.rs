//! What the whole pipeline makes of prompts.

use musicot::codec::SemanticTokenizer;
use musicot::core::train::Record;
use musicot::{Generator, Quiet, Song};
use musicot_eval::clip::{ClipStats, share_inside};
use musicot_eval::tokens::{changes, longest_shared_run};

use crate::Context;
use crate::common::{Outcome, note};
use crate::corpus::{audio, caption, cut, spread, tell, tokens, training_tokens};
use crate::figure::Figure;
use crate::report::Measured;
use crate::variety;

/// Seeds of each prompt.
pub const SEEDS: [u64; 2] = [1, 2];

/// The measures that the targets speak of.
const JUDGED: [&str; 4] = ["flatness", "onset_rate_hz", "chroma_entropy_bits", "loudness_lufs"];

/// Least share of clips inside the corpus' range (of the corpus' own clips 0.9 are).
const LEAST_INSIDE: f64 = 0.9;

/// A longer run of changes shared with a training piece is a copy: 3 s of the corpus, whose tokens change some ten times a second.
const MOST_SHARED_CHANGES: f64 = 30.0;

pub fn figures(context: &Context) -> Outcome<Measured> {
    let mut generator = context.stages.generator()?;
    let records = spread(context.heldout.records(), Some(context.options.prompts));
    let songs = songs(context, &mut generator, &records)?;
    let mut found = Measured::from(vec![
        Figure::of("clips", songs.len() as f64),
        Figure::of("prompts", records.len() as f64),
        Figure::of("seconds of a clip", context.options.secs),
    ]);
    found.add("shares inside the corpus' range", likeness(context, &songs));
    let prompts = records.iter().map(|record| caption(record)).collect::<Outcome<Vec<_>>>()?;
    found.add("distances between prompts", variety::figures(&mut generator, &songs, &prompts));
    found.add("longest run shared with a training piece", copies(context, &records, &songs));
    found.figures.push(speed(&songs));
    Ok(found)
}

/// Clips, prompt after prompt, the seeds of one side by side.
fn songs(context: &Context, generator: &mut Generator, records: &[&Record]) -> Outcome<Vec<Song>> {
    let mut songs = Vec::new();
    for (index, record) in records.iter().enumerate() {
        tell("generation", index, records.len(), record);
        for seed in SEEDS {
            let request = generator.request(caption(record)?).duration_secs(context.options.secs).seed(seed);
            songs.push(generator.generate(&request, &mut Quiet)?);
        }
    }
    Ok(songs)
}

/// Shares of clips between the 5th and 95th percentile of the held-out pieces, cut into clips of the same length.
fn likeness(context: &Context, songs: &[Song]) -> Outcome<Vec<Figure>> {
    let clips = songs.iter().map(|song| ClipStats::of(&song.audio)).collect::<Result<Vec<_>, _>>()?;
    let mut reference = Vec::new();
    for record in spread(context.heldout.records(), context.options.pieces) {
        let rate = songs.first().map_or(48_000, |song| song.audio.sample_rate_hz());
        let piece = audio(&context.heldout, &record.audio, rate)?;
        for clip in cut(&piece, context.options.secs)? {
            reference.push(ClipStats::of(&clip)?);
        }
    }
    note(format_args!("generation: {} clips of held-out pieces to compare with", reference.len()));
    let inside = share_inside(&clips, &reference)?;
    let figure = |inside: &musicot_eval::clip::Inside| {
        let name = format!("share with {} within {:.4} .. {:.4}", inside.measure, inside.low, inside.high);
        let figure = Figure::of(name, inside.share);
        if JUDGED.contains(&inside.measure) { figure.at_least(LEAST_INSIDE) } else { figure }
    };
    Ok(inside.iter().map(figure).collect())
}

/// The longest run of tokens that a clip shares with a piece trained on; beside it what held-out music shares by chance. A tone that is held
/// for seconds is one token, again and again, in every piece: what can be copied is how tokens change.
fn copies(context: &Context, records: &[&Record], songs: &[Song]) -> Outcome<Vec<Figure>> {
    let corpus = training_tokens(context)?;
    let semantic = context.stages.semantic()?;
    let rate = semantic.token_rate_hz();
    let mut held_out = Vec::new();
    for record in records {
        let mut own = tokens(&semantic, &audio(&context.heldout, &record.audio, semantic.sample_rate_hz())?)?;
        own.truncate((context.options.secs * rate).round() as usize);
        held_out.push(own);
    }
    let made: Vec<Vec<i64>> = songs.iter().map(|song| song.manifest.tokens.clone()).collect();
    let secs = |run: usize| run as f64 / rate;
    let mut figures = vec![
        Figure::of(
            "longest run of tokens shared with a training piece, seconds",
            secs(longest(&made, &corpus)?),
        ),
        Figure::of(
            "the same of as long clips of held-out pieces, seconds",
            secs(longest(&held_out, &corpus)?),
        ),
    ];
    let corpus: Vec<Vec<i64>> = corpus.iter().map(|piece| changes(piece)).collect();
    let run =
        |clips: &[Vec<i64>]| longest(&clips.iter().map(|clip| changes(clip)).collect::<Vec<_>>(), &corpus);
    figures.push(
        Figure::of("longest run of changes of token shared with one", run(&made)? as f64)
            .at_most(MOST_SHARED_CHANGES),
    );
    figures.push(Figure::of("the same of as long clips of held-out pieces", run(&held_out)? as f64));
    Ok(figures)
}

/// Tokens of the longest run that one of the clips shares with a piece.
fn longest(clips: &[Vec<i64>], corpus: &[Vec<i64>]) -> Outcome<usize> {
    let mut most = 0;
    for clip in clips {
        most = most.max(longest_shared_run(clip, corpus)?.map_or(0, |run| run.tokens));
    }
    Ok(most)
}

/// Seconds of work per second of audio, the loading of the stages included.
fn speed(songs: &[Song]) -> Figure {
    let work: f64 = songs.iter().map(|song| song.manifest.total_secs()).sum();
    let audio: f64 = songs.iter().map(|song| song.audio.duration_secs()).sum();
    let threads = songs.first().map_or(0, |song| song.manifest.threads);
    Figure::of(format!("real-time factor (threads: {threads})"), work / audio).at_most(1.0)
}
