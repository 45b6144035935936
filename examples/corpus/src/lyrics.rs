//! Syllables for the notes of a tune. They are text only: nothing sings them.

use crate::piece::{Label, Lyric, Note};
use crate::rng::Rng;

const SYLLABLES: [&[&str]; 6] = [
    &["la", "la", "la", "da"],
    &["da", "da", "doo", "da"],
    &["oh", "oh", "ooh", "oh"],
    &["na", "na", "na", "hey"],
    &["doo", "ba", "doo", "bop"],
    &["mm", "mm", "ah", "mm"],
];
const LINES: [&[&str]; 16] = [
    &["walk", "with", "me", "to", "the", "sea"],
    &["morn", "ing", "light", "is", "on", "the", "way"],
    &["I", "will", "wait", "for", "you"],
    &["turn", "the", "night", "in", "to", "day"],
    &["hold", "on", "to", "the", "sound"],
    &["all", "the", "stars", "are", "low"],
    &["run", "ning", "down", "the", "road", "a", "gain"],
    &["come", "back", "home", "to", "me"],
    &["rain", "is", "fall", "ing", "on", "the", "town"],
    &["we", "can", "dance", "un", "til", "the", "dawn"],
    &["sing", "a", "song", "of", "sum", "mer"],
    &["ev", "ery", "wind", "will", "change"],
    &["o", "ver", "moun", "tains", "un", "der", "sky"],
    &["noth", "ing", "stays", "the", "same"],
    &["hear", "the", "riv", "er", "call"],
    &["gold", "en", "days", "are", "gone"],
];

/// One syllable per note; sections of one kind sing the same words.
pub(crate) fn write(sections: &[(Label, Vec<Note>)], rng: &mut Rng) -> Vec<Lyric> {
    let only_syllables = rng.chance(0.5);
    let mut texts: Vec<(Label, Vec<&'static str>)> = Vec::new();
    let mut lyrics = Vec::new();
    for (label, notes) in sections {
        let known = texts.iter().position(|(of, _)| of == label);
        let index = known.unwrap_or_else(|| {
            texts.push((*label, text(only_syllables, rng)));
            texts.len() - 1
        });
        for (note, word) in notes.iter().zip(texts[index].1.iter().cycle()) {
            lyrics.push(Lyric { start: note.start, end: note.end(), text: (*word).to_owned() });
        }
    }
    lyrics
}

/// The words of a section, repeated as often as its notes need them.
fn text(only_syllables: bool, rng: &mut Rng) -> Vec<&'static str> {
    if only_syllables {
        return rng.pick(&SYLLABLES).map_or_else(Vec::new, |syllables| syllables.to_vec());
    }
    (0..4).filter_map(|_| rng.pick(&LINES)).flat_map(|line| line.iter().copied()).collect()
}
