//! Captions composed from instrument families.

use musicot_core::CounterRng;

/// Captions of a part that plays alone.
const SOLO: &[&str] = &[
    "solo {}",
    "{} solo",
    "{}",
    "{} playing alone",
    "only {}",
    "just {} and nothing else",
    "unaccompanied {}",
    "an isolated {} track",
    "a recording of {} on its own",
    "{} without other instruments",
];

/// Captions of parts that play together.
const TOGETHER: &[&str] = &[
    "{}",
    "music with {}",
    "{} playing together",
    "an ensemble of {}",
    "a track featuring {}",
    "a piece for {}",
];

/// A caption of a single part that training never uses, for validation.
pub(super) const HELD_OUT: &str = "the sound of {}";

/// Most words of a span of a caption.
const SPAN_WORDS: usize = 4;

/// Composed captions per window of several parts.
const VARIANTS: u64 = 3;

/// Words for an instrument family, the usual one first; a family that is not known is its own word.
pub fn family_words(family: &str) -> Vec<&str> {
    match family {
        "piano" => vec!["piano", "keys", "a keyboard"],
        "organ" => vec!["organ", "an organ"],
        "guitar" => vec!["guitar", "guitars"],
        "bass" => vec!["bass", "a bass line"],
        "strings" => vec!["strings", "string instruments", "a string section"],
        "brass" => vec!["brass", "horns", "brass instruments"],
        "woodwind" => vec!["woodwind", "wind instruments", "a reed or flute"],
        "lead" => vec!["synth lead", "a lead synthesizer", "a synthesizer melody"],
        "pad" => vec!["synth pad", "pads", "a synthesizer pad"],
        "mallets" => vec!["mallets", "mallet percussion", "tuned percussion"],
        "choir" => vec!["choir", "voices", "vocals", "singers"],
        "drums" => vec!["drums", "percussion", "a drum kit", "a drum beat"],
        other => vec![other],
    }
}

/// Every caption of a family alone.
pub(super) fn solo(family: &str) -> Vec<String> {
    let words = family_words(family);
    SOLO.iter().flat_map(|template| words.iter().map(|word| fill(template, word))).collect()
}

/// A few captions of families that play together, in drawn words and order.
pub(super) fn together(families: &[&str], rng: CounterRng) -> Vec<String> {
    let one = |variant: u64| {
        let mut draws = rng.stage("words").at(variant);
        let order = rng.stage("order").permutation(variant, families.len());
        let names: Vec<&str> = order
            .iter()
            .map(|index| {
                let words = family_words(families[*index]);
                words[draws.below(words.len())]
            })
            .collect();
        let templates = if families.len() == 1 { SOLO } else { TOGETHER };
        fill(templates[draws.below(templates.len())], &list(&names))
    };
    (0..VARIANTS).map(one).collect()
}

/// `count` drawn runs of one to [`SPAN_WORDS`] words of the texts.
pub(super) fn spans(texts: &[String], count: usize, rng: CounterRng) -> Vec<String> {
    let one = |index: u64| {
        let mut draws = rng.at(index);
        let words: Vec<&str> = texts[draws.below(texts.len())].split_whitespace().collect();
        let length = 1 + draws.below(SPAN_WORDS.min(words.len().max(1)));
        let start = draws.below(words.len().saturating_sub(length) + 1);
        let span = words.iter().skip(start).take(length).copied().collect::<Vec<_>>().join(" ");
        span.trim_matches(|letter: char| !letter.is_alphanumeric()).to_owned()
    };
    (0..count as u64).map(one).collect()
}

/// Puts a word into a template.
pub(super) fn fill(template: &str, word: &str) -> String {
    template.replace("{}", word)
}

/// `a, b and c`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_runs_of_words() {
        let texts = ["a calm, slow piece!".to_owned(), String::new()];
        let drawn = spans(&texts, 64, CounterRng::new(3));
        assert_eq!(drawn, spans(&texts, 64, CounterRng::new(3)));
        assert!(drawn.iter().all(|span| texts[0].contains(span.as_str())));
        for span in ["calm", "calm, slow", "slow piece", ""] {
            assert!(drawn.iter().any(|drawn| drawn == span), "{span}");
        }
    }

    #[test]
    fn composes() {
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert!(solo("piano").contains(&"piano playing alone".to_owned()));
        assert!(!solo("kazoo").iter().any(|caption| caption.contains("{}")));
        let rng = CounterRng::new(1);
        let captions = together(&["drums", "bass"], rng);
        assert_eq!(captions, together(&["drums", "bass"], rng));
        assert!(captions.iter().all(|caption| caption.contains(" and ")));
        assert!(solo("piano").iter().all(|caption| *caption != fill(HELD_OUT, "piano")));
    }
}
