//! Tags out of free text.

use super::vocab::normal;
use super::{Key, TagVocab, Tags};

/// Words for tempi and a typical speed in beats per minute. The Italian ones lie within the customary metronome ranges; the
/// English ones are our choice.
const TEMPO_WORDS: [(&str, f64); 26] = [
    ("very slow", 55.0),
    ("very fast", 175.0),
    ("mid tempo", 105.0),
    ("moderate tempo", 105.0),
    ("medium tempo", 105.0),
    ("slow tempo", 70.0),
    ("fast paced", 150.0),
    ("up tempo", 140.0),
    ("uptempo", 140.0),
    ("midtempo", 105.0),
    ("downtempo", 80.0),
    ("slow", 70.0),
    ("fast", 150.0),
    ("quick", 145.0),
    ("rapid", 165.0),
    ("brisk", 130.0),
    ("grave", 45.0),
    ("largo", 50.0),
    ("lento", 55.0),
    ("adagio", 70.0),
    ("andante", 90.0),
    ("moderato", 110.0),
    ("allegretto", 115.0),
    ("allegro", 135.0),
    ("vivace", 165.0),
    ("presto", 180.0),
];

/// Other words for a name; the first that the vocabulary knows is taken.
const SYNONYMS: [(&str, &[&str]); 81] = [
    ("keys", &["piano"]),
    ("keyboard", &["piano"]),
    ("keyboards", &["piano"]),
    ("rhodes", &["piano"]),
    ("hammond", &["organ"]),
    ("ukulele", &["guitar"]),
    ("banjo", &["guitar"]),
    ("violin", &["strings"]),
    ("violins", &["strings"]),
    ("viola", &["strings"]),
    ("cello", &["strings"]),
    ("string", &["strings"]),
    ("orchestra", &["strings"]),
    ("fiddle", &["strings"]),
    ("horn", &["brass"]),
    ("horns", &["brass"]),
    ("trumpet", &["brass"]),
    ("trumpets", &["brass"]),
    ("trombone", &["brass"]),
    ("tuba", &["brass"]),
    ("sax", &["woodwind", "saxophone"]),
    ("saxophone", &["woodwind"]),
    ("flute", &["woodwind"]),
    ("clarinet", &["woodwind"]),
    ("oboe", &["woodwind"]),
    ("bassoon", &["woodwind"]),
    ("woodwinds", &["woodwind"]),
    ("synth", &["lead", "synth"]),
    ("synthesizer", &["lead", "synth"]),
    ("synthesiser", &["lead", "synth"]),
    ("pads", &["pad"]),
    ("marimba", &["mallets"]),
    ("xylophone", &["mallets"]),
    ("vibraphone", &["mallets"]),
    ("vibes", &["mallets"]),
    ("glockenspiel", &["mallets"]),
    ("mallet", &["mallets"]),
    ("bells", &["mallets"]),
    ("vocals", &["choir", "vocals"]),
    ("voices", &["choir", "vocals"]),
    ("voice", &["choir", "vocals"]),
    ("drum", &["drums"]),
    ("percussion", &["drums"]),
    ("beat", &["drums"]),
    ("beats", &["drums"]),
    ("lo fi", &["lofi"]),
    ("chillhop", &["lofi"]),
    ("techno", &["electronic"]),
    ("house", &["electronic"]),
    ("edm", &["electronic"]),
    ("electro", &["electronic"]),
    ("swing", &["jazz"]),
    ("bebop", &["jazz"]),
    ("salsa", &["latin"]),
    ("bossa nova", &["latin"]),
    ("gentle", &["calm", "tender"]),
    ("serene", &["calm", "peaceful"]),
    ("soothing", &["calm", "relaxed"]),
    ("tranquil", &["peaceful", "calm"]),
    ("chill", &["relaxed", "calm"]),
    ("mellow", &["warm", "relaxed"]),
    ("glad", &["happy"]),
    ("merry", &["cheerful", "happy"]),
    ("upbeat", &["cheerful", "energetic"]),
    ("uplifting", &["hopeful", "happy"]),
    ("optimistic", &["hopeful", "happy"]),
    ("jubilant", &["joyful", "happy"]),
    ("spirited", &["lively", "energetic"]),
    ("sorrowful", &["sad", "melancholic"]),
    ("mournful", &["sad", "melancholic"]),
    ("melancholy", &["melancholic", "sad"]),
    ("pensive", &["melancholic", "wistful"]),
    ("gloomy", &["dark", "sad"]),
    ("sombre", &["dark", "sad"]),
    ("eerie", &["mysterious", "dark"]),
    ("suspenseful", &["tense"]),
    ("epic", &["dramatic", "triumphant", "powerful"]),
    ("aggressive", &["intense", "powerful"]),
    ("driving", &["urgent", "energetic"]),
    ("danceable", &["groovy", "energetic"]),
    ("cozy", &["cosy", "warm"]),
];

/// Reads tags from free text with the names of a vocabulary: tempo (`120 bpm`, `at 120 beats per minute`, `slow`, `allegro`), key
/// (`in C minor`, `F# major`), the first style and mood named, and all instruments. What is not recognised is left open.
///
/// ```
/// use musicot_lm::tags::{TagVocab, parse};
/// let tags = parse("Slow, calm jazz in Bb minor for saxophone and piano", &TagVocab::default());
/// assert_eq!(tags.tempo_bpm, Some(70.0));
/// assert_eq!(tags.key, Some("Bb minor".parse()?));
/// assert_eq!((tags.style.as_deref(), tags.mood.as_deref()), (Some("jazz"), Some("calm")));
/// assert_eq!(tags.instruments, ["woodwind", "piano"]);
/// # Ok::<(), musicot_lm::Error>(())
/// ```
pub fn parse(text: &str, vocab: &TagVocab) -> Tags {
    let words = split(text);
    let named = |names: &[String]| find(&words, names);
    Tags {
        tempo_bpm: numeric_tempo(&words).or_else(|| tempo_word(&words)),
        key: key(&words),
        style: named(&vocab.styles).into_iter().next(),
        mood: named(&vocab.moods).into_iter().next(),
        instruments: named(&vocab.instruments),
    }
}

/// Lower-case words; `#` stays with its word, a hyphen parts words (so that `mid-tempo` is `mid tempo`).
fn split(text: &str) -> Vec<String> {
    // Enormous prompts are not searched to their end.
    let head: String = text.chars().take(20_000).collect();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '#' | '♯' | '♭' | '.');
    let words = head.split(|c: char| !is_part(c)).map(|word| word.trim_matches('.').to_lowercase());
    words.filter(|word| !word.is_empty()).collect()
}

fn numeric_tempo(words: &[String]) -> Option<f64> {
    words.iter().enumerate().find_map(|(index, word)| {
        let following = |n: usize| words.get(index + n).map_or("", String::as_str);
        let is_unit = following(1) == "bpm"
            || (matches!(following(1), "beats" | "quarters") && matches!(following(2), "per" | "a"));
        let attached = word.strip_suffix("bpm").filter(|number| !number.is_empty());
        let number = attached.or(is_unit.then_some(word.as_str()))?;
        number.parse::<f64>().ok().filter(|bpm| (20.0..=400.0).contains(bpm))
    })
}

fn tempo_word(words: &[String]) -> Option<f64> {
    TEMPO_WORDS.iter().find(|(name, _)| position(words, name).is_some()).map(|(_, bpm)| *bpm)
}

/// A tonic followed by its mode. A bare `a` is more often an article than a key, so the mode must be there.
fn key(words: &[String]) -> Option<Key> {
    words.iter().enumerate().find_map(|(index, word)| {
        let is_minor = match word.as_str() {
            "minor" | "min" | "moll" => true,
            "major" | "maj" | "dur" => false,
            _ => return None,
        };
        let before = index.checked_sub(1).and_then(|i| words.get(i))?;
        if matches!(before.as_str(), "flat" | "sharp") {
            let letter = index.checked_sub(2).and_then(|i| words.get(i))?;
            return Some(Key::new(Key::parse_tonic(&format!("{letter} {before}"))?, is_minor));
        }
        Some(Key::new(Key::parse_tonic(before)?, is_minor))
    })
}

/// The names (of the vocabulary) that occur in the text, directly or by a synonym, in the order of the text.
fn find(words: &[String], names: &[String]) -> Vec<String> {
    let direct = names.iter().filter_map(|name| Some((position(words, name)?, name.clone())));
    let by_synonym = SYNONYMS.iter().filter_map(|(word, meanings)| {
        let place = position(words, word)?;
        let known = |meaning: &&&str| names.iter().any(|name| normal(name) == **meaning);
        meanings.iter().find(known).map(|name| (place, (*name).to_owned()))
    });
    let mut found: Vec<(usize, String)> = direct.chain(by_synonym).collect();
    found.sort();
    let mut unique: Vec<String> = Vec::new();
    for (_, name) in found {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

/// Where a name of one or more words begins.
fn position(words: &[String], name: &str) -> Option<usize> {
    let wanted = split(name);
    if wanted.is_empty() {
        return None;
    }
    words.windows(wanted.len()).position(|window| window == wanted)
}
