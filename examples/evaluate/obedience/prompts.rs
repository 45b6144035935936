//! Prompts as a user writes them.

/// Families and solo instruments of each. Some of these names are in no caption of the corpus.
pub const SOLOS: [(&str, &[&str]); 12] = [
    ("piano", &["piano", "grand piano", "electric piano"]),
    ("organ", &["organ", "church organ", "pipe organ"]),
    ("guitar", &["guitar", "acoustic guitar", "electric guitar"]),
    ("bass", &["bass guitar", "upright bass", "electric bass"]),
    ("strings", &["violin", "cello", "string section"]),
    ("brass", &["trumpet", "trombone", "french horn"]),
    ("woodwind", &["flute", "clarinet", "saxophone"]),
    ("lead", &["synth lead", "lead synthesizer", "synthesizer lead"]),
    ("pad", &["synth pad", "warm synthesizer pad", "pad"]),
    ("mallets", &["vibraphone", "marimba", "xylophone"]),
    ("choir", &["choir", "vocal choir", "choir of voices"]),
    ("drums", &["drum kit", "set of drums", "percussion kit"]),
];

/// Ways to ask for one instrument; `{}` is its name, which begins with a consonant after an article.
pub const SOLO_WAYS: [&str; 10] = [
    "a solo {} playing a slow melody",
    "solo {}, nothing else",
    "just one {} in a quiet room",
    "a lively {} solo",
    "unaccompanied {}, calm and slow",
    "a lone {} plays something sad",
    "only {}, no other instruments",
    "a happy tune for solo {}",
    "a recording of a single {}",
    "{} alone, relaxed",
];

/// The prompt of a family's clip.
pub fn solo(family: usize, clip: usize) -> String {
    let (_, names) = SOLOS[family];
    SOLO_WAYS[(clip + family) % SOLO_WAYS.len()].replace("{}", names[clip % names.len()])
}

/// Styles with instruments that play them.
const BANDS: [(&str, &str); 9] = [
    ("pop", "piano, bass and drums"),
    ("rock", "electric guitar, bass and drums"),
    ("jazz", "saxophone, piano, bass and drums"),
    ("folk", "acoustic guitar and flute"),
    ("classical", "strings and piano"),
    ("electronic", "a synth lead, bass and drums"),
    ("funk", "brass, organ, bass and drums"),
    ("blues", "guitar, organ and drums"),
    ("latin", "trumpet, guitar and percussion"),
];

/// The 24 keys as they are usually spelt.
const KEYS: [&str; 24] = [
    "C major", "A minor", "G major", "E minor", "D major", "B minor", "A major", "F# minor", "E major",
    "C# minor", "B major", "G# minor", "F# major", "D# minor", "Db major", "Bb minor", "Ab major", "F minor",
    "Eb major", "C minor", "Bb major", "G minor", "F major", "D minor",
];

/// Words of tempo that the reader of prompts knows.
const SPEEDS: [&str; 8] =
    ["slow", "fast", "mid-tempo", "very slow", "brisk", "very fast", "moderate tempo", "quick"];

const WAYS_BY_NUMBER: [&str; 5] = [
    "{style} with {instruments} at {bpm} bpm in {key}",
    "some {style} in {key} at {bpm} bpm, played by {instruments}",
    "{instruments} playing {style} music, {bpm} beats per minute, in {key}",
    "{bpm} bpm {style} track in {key} with {instruments}",
    "make me some {style} in {key}: {instruments}, tempo {bpm} bpm",
];

const WAYS_BY_WORD: [&str; 3] = [
    "{speed} {style} with {instruments} in {key}",
    "a {speed} {style} tune in {key}, played by {instruments}",
    "{instruments} playing {speed} {style} music in {key}",
];

/// Slowest tempo and the range of those that are asked for, which is that of the corpus.
const BPM: (f64, f64) = (62.0, 106.0);

/// The golden ratio: its multiples spread evenly however many are taken.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// A prompt that names a key and a tempo.
pub struct Named {
    pub prompt: String,
    /// Beats per minute, where the prompt has the number.
    pub bpm: Option<f64>,
    pub key: &'static str,
}

/// The prompt of this number that names its tempo by number.
pub fn by_number(number: usize) -> Named {
    let bpm = (BPM.0 + BPM.1 * (number as f64 * GOLDEN).fract()).round();
    let prompt = WAYS_BY_NUMBER[number % WAYS_BY_NUMBER.len()].replace("{bpm}", &bpm.to_string());
    Named { bpm: Some(bpm), ..filled(&prompt, number) }
}

/// The prompt of this number that names its tempo by a word.
pub fn by_word(number: usize) -> Named {
    let speed = SPEEDS[number % SPEEDS.len()];
    filled(&WAYS_BY_WORD[number % WAYS_BY_WORD.len()].replace("{speed}", speed), number)
}

/// Style, instruments and key put in; sevens and fives go through all before one comes again.
fn filled(way: &str, number: usize) -> Named {
    let (style, instruments) = BANDS[number * 5 % BANDS.len()];
    let key = KEYS[number * 7 % KEYS.len()];
    let prompt = way.replace("{style}", style).replace("{instruments}", instruments).replace("{key}", key);
    Named { prompt, bpm: None, key }
}
