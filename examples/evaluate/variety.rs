//! Whether different prompts make different music, and the music its prompt.

use musicot::{Generator, Song};
use musicot_eval::chroma::Chroma;
use musicot_eval::embeddings::{cosine_scores, recall_at};
use musicot_eval::statistics::{bootstrap_mean, paired_difference};
use ndarray::{Array2, Axis};

use crate::common::Outcome;
use crate::compare::rng;
use crate::corpus::{embedded, stacked};
use crate::figure::Figure;
use crate::generation::SEEDS;

/// Distances of clips `[prompts * seeds]`, the seeds of a prompt side by side.
pub fn figures(generator: &mut Generator, songs: &[Song], prompts: &[&str]) -> Outcome<Vec<Figure>> {
    if prompts.len() < 2 {
        return Err("needs at least two prompts".into());
    }
    let clips = songs.iter().map(|song| embedded(generator, &song.audio)).collect::<Outcome<Vec<_>>>()?;
    let embedded = stacked(&clips)?;
    let mut figures = apart("CLAP", &embedded)?;
    figures.extend(apart("chroma", &chromas(songs)?)?);
    figures.extend(own_prompt(generator, &embedded, prompts)?);
    Ok(figures)
}

/// Mean chroma of each clip `[clips, 12]`: which notes it uses.
fn chromas(songs: &[Song]) -> Outcome<Array2<f32>> {
    let mut means = Vec::new();
    for song in songs {
        let chroma = Chroma::of(&song.audio)?;
        means.push(chroma.values().sum_axis(Axis(0)).mapv(|value| value as f32));
    }
    stacked(&means)
}

/// Mean distance (1 - cosine) of a prompt's clips to those of other prompts, against that between its own seeds.
fn apart(what: &str, vectors: &Array2<f32>) -> Outcome<Vec<Figure>> {
    let distances = cosine_scores(vectors.view(), vectors.view())?.mapv(|cosine| 1.0 - cosine);
    let prompts = vectors.nrows() / SEEDS.len();
    let prompt_of = |clip: usize| clip / SEEDS.len();
    let mean = |prompt: usize, counts: &dyn Fn(usize, usize) -> bool| {
        let pairs = distances
            .indexed_iter()
            .filter(|((a, b), _)| prompt_of(*a) == prompt && a != b && counts(prompt_of(*a), prompt_of(*b)));
        let (sum, count) = pairs.fold((0.0, 0_usize), |(sum, count), (_, value)| (sum + value, count + 1));
        sum / count.max(1) as f64
    };
    let between: Vec<f64> = (0..prompts).map(|prompt| mean(prompt, &|a, b| a != b)).collect();
    let within: Vec<f64> = (0..prompts).map(|prompt| mean(prompt, &|a, b| a == b)).collect();
    Ok(vec![
        Figure::mean(format!("{what} distance between prompts"), bootstrap_mean(&between, rng())?),
        Figure::mean(format!("{what} distance between seeds"), bootstrap_mean(&within, rng())?),
        Figure::mean(format!("{what}: prompts minus seeds"), paired_difference(&between, &within, rng())?)
            .surely_positive(),
    ])
}

/// Cosine of clips with their own prompt, against that with the prompts of others.
fn own_prompt(generator: &mut Generator, clips: &Array2<f32>, prompts: &[&str]) -> Outcome<Vec<Figure>> {
    let texts = generator.embed_phrases(prompts)?;
    let scores = cosine_scores(clips.view(), texts.view())?;
    let others = (prompts.len() - 1) as f64;
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for (prompt, rows) in scores.axis_chunks_iter(Axis(0), SEEDS.len()).enumerate() {
        let clips = rows.nrows() as f64;
        let of_own = rows.column(prompt).sum();
        own.push(of_own / clips);
        other.push((rows.sum() - of_own) / (clips * others));
    }
    let firsts = clips.slice(ndarray::s![..;SEEDS.len() as isize, ..]);
    Ok(vec![
        Figure::mean("cosine of a clip with its prompt", bootstrap_mean(&own, rng())?),
        Figure::mean("own prompt minus the others", paired_difference(&own, &other, rng())?),
        Figure::of(
            format!("own prompt nearest of {} (chance {:.3})", prompts.len(), 1.0 / prompts.len() as f64),
            recall_at(1, firsts, texts.view())?,
        ),
    ])
}
