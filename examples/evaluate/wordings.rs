//! Words that no training caption has: do they mean what words of the same meaning do?

use musicot::clap::{AudioTextEncoder, Clap};
use musicot::core::train::{Dataset, Record};
use musicot_eval::embeddings::{auc, cosine_scores};
use ndarray::{Array2, Axis};

use crate::Context;
use crate::common::Outcome;
use crate::corpus::rows;
use crate::figure::Figure;
use crate::meanings::{Kind, MEANINGS, Meaning, NAMED};

/// Seen words among which one of the same meaning counts as near.
const NEAR: usize = 3;

/// Sentences that a word is put into; its embedding is their mean.
const SENTENCES: [&str; 3] = ["{} music", "a {} piece", "the music is {}"];

/// A word of the table.
struct Word {
    text: &'static str,
    meaning: &'static Meaning,
    is_seen: bool,
}

/// `pieces` are embeddings `[records, dim]`.
pub fn figures(
    context: &Context,
    clap: &Clap,
    records: &[&Record],
    pieces: &Array2<f32>,
) -> Outcome<Vec<Figure>> {
    let words = words(&Dataset::open(&context.options.train)?);
    let embedded = embedded(clap, &words)?;
    let unseen: Vec<usize> = (0..words.len()).filter(|word| !words[*word].is_seen).collect();
    let named = NAMED.iter().filter(|name| unseen.iter().any(|word| words[*word].text == **name));
    let mut figures = vec![
        Figure::of(format!("words that no training caption has, of {}", words.len()), unseen.len() as f64),
        Figure::of(format!("of `{}` those", NAMED.join("`, `")), named.count() as f64),
    ];
    if unseen.is_empty() {
        figures.push(Figure::missing("unseen wordings", "every word of the table is in a training caption"));
        return Ok(figures);
    }
    for kind in [Kind::Mood, Kind::Tempo] {
        let unseen: Vec<usize> =
            unseen.iter().copied().filter(|word| words[*word].meaning.kind == kind).collect();
        figures.extend(near_partners(kind, &words, &unseen, &embedded)?);
        figures.extend(heard(kind, &words, &embedded, records, pieces)?);
    }
    Ok(figures)
}

/// The words of all meanings, and which of them training captions have.
fn words(train: &Dataset) -> Vec<Word> {
    let captions: Vec<String> = train.records().iter().flat_map(captions).map(|text| plain(text)).collect();
    let is_seen = |word: &str| {
        let word = plain(word);
        captions.iter().any(|caption| caption.contains(&word))
    };
    let of = |meaning: &'static Meaning| {
        meaning.words.iter().map(move |text| Word { text, meaning, is_seen: is_seen(text) })
    };
    MEANINGS.iter().flat_map(of).collect()
}

fn captions(record: &Record) -> impl Iterator<Item = &String> {
    record.captions.iter().chain(record.sections.iter().filter_map(|section| section.caption.as_ref()))
}

/// Words in small letters between spaces.
fn plain(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(" ".to_owned(), |line, word| line + &word.to_lowercase() + " ")
}

fn embedded(clap: &Clap, words: &[Word]) -> Outcome<Array2<f32>> {
    let mut sum = Array2::zeros((words.len(), clap.dim()));
    for sentence in SENTENCES {
        let texts: Vec<String> = words.iter().map(|word| sentence.replace("{}", word.text)).collect();
        sum += &rows(&clap.embed_text(&texts.iter().map(String::as_str).collect::<Vec<_>>())?)?;
    }
    Ok(sum)
}

/// Whether the seen words nearest to an unseen one, of all of its kind, have one of its meaning.
fn near_partners(
    kind: Kind,
    words: &[Word],
    unseen: &[usize],
    embedded: &Array2<f32>,
) -> Outcome<Vec<Figure>> {
    let cosines = cosine_scores(embedded.view(), embedded.view())?;
    let (mut nearest, mut near, mut chances) = (Vec::new(), Vec::new(), Vec::new());
    for word in unseen {
        let own = words[*word].meaning;
        let mut others: Vec<usize> = (0..words.len())
            .filter(|other| words[*other].is_seen && words[*other].meaning.kind == own.kind)
            .collect();
        let is_partner = |other: &usize| std::ptr::eq(words[*other].meaning, own);
        let partners = others.iter().filter(|other| is_partner(other)).count();
        if partners == 0 {
            continue;
        }
        others.sort_by(|a, b| cosines[[*word, *b]].total_cmp(&cosines[[*word, *a]]));
        nearest.push(f64::from(others.first().is_some_and(is_partner)));
        near.push(f64::from(others.iter().take(NEAR).any(is_partner)));
        chances.push(partners as f64 / others.len() as f64);
    }
    let name = format!("{}: nearest seen word to an unseen one", kind.name());
    if nearest.is_empty() {
        return Ok(vec![Figure::missing(name, "no unseen word has a seen one of the same meaning")]);
    }
    let chance = chances.iter().sum::<f64>() / chances.len() as f64;
    let count = nearest.len();
    Ok(vec![
        Figure::mean_of(format!("{name} has its meaning ({count} words, chance {chance:.3})"), &nearest)?,
        Figure::mean_of(format!("{}: one of the {NEAR} nearest has its meaning", kind.name()), &near)?,
    ])
}

/// Whether pieces that are tagged with a meaning are nearer to its words than other pieces are.
fn heard(
    kind: Kind,
    words: &[Word],
    embedded: &Array2<f32>,
    records: &[&Record],
    pieces: &Array2<f32>,
) -> Outcome<Vec<Figure>> {
    let (mut by_unseen, mut by_seen) = (Vec::new(), Vec::new());
    for (index, word) in words.iter().enumerate().filter(|(_, word)| word.meaning.kind == kind) {
        let belongs: Vec<bool> = records.iter().map(|record| word.meaning.is_tagged(&record.tags)).collect();
        if belongs.iter().all(|own| *own) || !belongs.contains(&true) {
            continue;
        }
        let text = embedded.row(index);
        let scores = cosine_scores(pieces.view(), text.insert_axis(Axis(0)))?;
        let area = auc(&scores.column(0).to_vec(), &belongs)?;
        if word.is_seen { by_seen.push(area) } else { by_unseen.push(area) }
    }
    let area = |which: &str, areas: &[f64]| {
        let name = format!("{}: pieces of a word's meaning above others (area), {which} words", kind.name());
        match areas.is_empty() {
            true => Ok(Figure::missing(name, "no piece is tagged with the meaning of such a word")),
            false => Figure::mean_of(format!("{name} ({}, chance 0.5)", areas.len()), areas),
        }
    };
    let unseen = area("unseen", &by_unseen)?;
    let is_met = unseen.interval.is_some_and(|[low, _]| low > 0.5);
    Ok(vec![unseen.goal("interval > 0.5", is_met), area("seen", &by_seen)?])
}
