//! Instrument families and the General MIDI programs that stand for them.

use serde::{Deserialize, Serialize};

/// A family of instruments that can be told apart by ear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // The names say it.
pub enum Family {
    Piano,
    Organ,
    Guitar,
    Bass,
    Strings,
    Brass,
    Woodwind,
    Lead,
    Pad,
    Mallets,
    Choir,
    Drums,
}

/// Which half of the corpus a piece belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// For evaluation: other caption templates, and some programs that no training piece uses.
    Heldout,
}

impl Split {
    /// The name used in the manifest and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Heldout => "heldout",
        }
    }
}

/// One General MIDI program (for [`Family::Drums`]: a kit of bank 128).
#[derive(Debug, PartialEq)]
pub struct Program {
    /// Program number, from 0.
    pub number: u8,
    /// The words a caption uses for it.
    pub name: &'static str,
    /// Lowest key written for it.
    pub low: u8,
    /// Highest key written for it.
    pub high: u8,
    /// Whether it plays chords (a section, a keyboard) or one note at a time.
    pub poly: bool,
    /// Whether it is kept out of training.
    pub held_out: bool,
}

const fn poly(number: u8, name: &'static str, low: u8, high: u8) -> Program {
    Program { number, name, low, high, poly: true, held_out: false }
}

const fn mono(number: u8, name: &'static str, low: u8, high: u8) -> Program {
    Program { number, name, low, high, poly: false, held_out: false }
}

const fn held(program: Program) -> Program {
    Program { held_out: true, ..program }
}

const PIANO: &[Program] = &[
    poly(0, "grand piano", 36, 88),
    poly(1, "bright piano", 36, 88),
    poly(4, "rhodes electric piano", 36, 84),
    poly(5, "electric piano", 36, 84),
    held(poly(2, "electric grand piano", 36, 84)),
    held(poly(3, "honky-tonk piano", 36, 86)),
];
const ORGAN: &[Program] = &[
    poly(16, "drawbar organ", 36, 84),
    poly(17, "percussive organ", 36, 84),
    poly(19, "church organ", 36, 84),
    held(poly(18, "rock organ", 36, 84)),
    held(poly(20, "reed organ", 36, 84)),
];
const GUITAR: &[Program] = &[
    poly(24, "nylon-string guitar", 40, 79),
    poly(25, "steel-string guitar", 40, 79),
    poly(27, "clean electric guitar", 40, 81),
    poly(29, "overdriven guitar", 40, 81),
    held(poly(26, "jazz guitar", 40, 79)),
    held(poly(30, "distorted guitar", 40, 81)),
];
const BASS: &[Program] = &[
    mono(32, "upright bass", 28, 60),
    mono(33, "electric bass", 28, 60),
    mono(35, "fretless bass", 28, 60),
    mono(38, "synth bass", 28, 60),
    held(mono(34, "picked bass", 28, 60)),
    held(mono(39, "fat synth bass", 28, 60)),
];
const STRINGS: &[Program] = &[
    mono(40, "violin", 55, 91),
    mono(42, "cello", 36, 69),
    poly(48, "string section", 40, 86),
    poly(49, "slow strings", 40, 84),
    poly(50, "synth strings", 40, 84),
    held(mono(41, "viola", 48, 81)),
    held(poly(51, "warm synth strings", 40, 84)),
];
const BRASS: &[Program] = &[
    mono(56, "trumpet", 54, 81),
    mono(57, "trombone", 41, 70),
    poly(60, "french horns", 41, 74),
    poly(61, "brass section", 45, 79),
    held(mono(59, "muted trumpet", 54, 81)),
    held(poly(62, "synth brass", 45, 79)),
];
const WOODWIND: &[Program] = &[
    mono(65, "alto saxophone", 51, 79),
    mono(66, "tenor saxophone", 46, 75),
    mono(68, "oboe", 58, 86),
    mono(71, "clarinet", 50, 84),
    mono(73, "flute", 60, 90),
    mono(74, "recorder", 62, 88),
    held(mono(64, "soprano saxophone", 57, 85)),
    held(mono(69, "english horn", 53, 79)),
    held(mono(75, "pan flute", 60, 86)),
];
const LEAD: &[Program] = &[
    mono(80, "square-wave synth lead", 48, 84),
    mono(81, "sawtooth synth lead", 48, 84),
    mono(87, "fat synth lead", 48, 84),
    held(mono(84, "charang synth lead", 48, 84)),
];
const PAD: &[Program] = &[
    poly(88, "bell-like synth pad", 45, 81),
    poly(89, "warm synth pad", 45, 81),
    poly(90, "polysynth pad", 45, 81),
    poly(94, "halo synth pad", 45, 81),
    poly(95, "sweeping synth pad", 45, 81),
    held(poly(92, "glassy synth pad", 45, 81)),
    held(poly(93, "metallic synth pad", 45, 81)),
];
const MALLETS: &[Program] = &[
    poly(8, "celesta", 60, 94),
    poly(11, "vibraphone", 53, 86),
    poly(12, "marimba", 48, 86),
    poly(13, "xylophone", 60, 93),
    held(poly(9, "glockenspiel", 72, 100)),
    held(poly(10, "music box", 60, 94)),
];
const CHOIR: &[Program] = &[
    poly(52, "choir singing ah", 48, 79),
    poly(53, "choir singing ooh", 48, 79),
    held(poly(54, "synth choir", 48, 79)),
];
const DRUMS: &[Program] = &[
    poly(0, "acoustic drum kit", 35, 81),
    poly(8, "room drum kit", 35, 81),
    poly(24, "electronic drum kit", 35, 81),
    poly(25, "808 drum machine", 35, 81),
    poly(32, "jazz drum kit", 35, 81),
    held(poly(16, "power drum kit", 35, 81)),
    held(poly(40, "brushed drum kit", 35, 81)),
];

impl Family {
    /// Every family.
    pub const ALL: [Self; 12] = [
        Self::Piano,
        Self::Organ,
        Self::Guitar,
        Self::Bass,
        Self::Strings,
        Self::Brass,
        Self::Woodwind,
        Self::Lead,
        Self::Pad,
        Self::Mallets,
        Self::Choir,
        Self::Drums,
    ];

    /// One word: the manifest's tag, and the name of the stem file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Piano => "piano",
            Self::Organ => "organ",
            Self::Guitar => "guitar",
            Self::Bass => "bass",
            Self::Strings => "strings",
            Self::Brass => "brass",
            Self::Woodwind => "woodwind",
            Self::Lead => "lead",
            Self::Pad => "pad",
            Self::Mallets => "mallets",
            Self::Choir => "choir",
            Self::Drums => "drums",
        }
    }

    /// Words captions use for the family as a whole.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Piano => &["piano", "keys"],
            Self::Organ => &["organ"],
            Self::Guitar => &["guitar"],
            Self::Bass => &["bass", "bass line"],
            Self::Strings => &["strings"],
            Self::Brass => &["brass", "horns"],
            Self::Woodwind => &["woodwind"],
            Self::Lead => &["synth lead", "lead synthesizer"],
            Self::Pad => &["synth pad", "pads"],
            Self::Mallets => &["mallets", "mallet percussion"],
            Self::Choir => &["choir", "voices"],
            Self::Drums => &["drums", "percussion", "drum kit"],
        }
    }

    /// The programs of the family, both halves of the corpus.
    pub fn programs(self) -> &'static [Program] {
        match self {
            Self::Piano => PIANO,
            Self::Organ => ORGAN,
            Self::Guitar => GUITAR,
            Self::Bass => BASS,
            Self::Strings => STRINGS,
            Self::Brass => BRASS,
            Self::Woodwind => WOODWIND,
            Self::Lead => LEAD,
            Self::Pad => PAD,
            Self::Mallets => MALLETS,
            Self::Choir => CHOIR,
            Self::Drums => DRUMS,
        }
    }
}

/// The families a text names, in the order of [`Family::ALL`]; used to check captions.
///
/// Longer names win over the shorter ones inside them: `mallet percussion` is not drums, a `warm synth pad`
/// is a pad only.
pub fn mentioned(text: &str) -> Vec<Family> {
    let mut names: Vec<(&str, Family)> = Family::ALL
        .into_iter()
        .flat_map(|family| {
            let own = family.words().iter().copied().chain([family.name()]);
            own.chain(family.programs().iter().map(|program| program.name)).map(move |name| (name, family))
        })
        // The one-word tags of these two are everyday words in a sentence.
        .filter(|(name, _)| !["lead", "pad"].contains(name))
        .collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let mut rest = words_only(text);
    let mut found = Vec::new();
    for (name, family) in names {
        let needle = words_only(name);
        if rest.contains(&needle) {
            rest = rest.replace(&needle, " ~ ");
            found.push(family);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Lower case, every word between single spaces, other characters but the hyphen left out.
fn words_only(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { ' ' })
        .collect();
    // Two spaces between words, so that neighbouring names do not share their space.
    format!(" {} ", kept.split_whitespace().collect::<Vec<_>>().join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_programs_for_both_halves() {
        for family in Family::ALL {
            let held = family.programs().iter().filter(|program| program.held_out).count();
            assert!(held >= 1 && family.programs().len() - held >= 2, "{family:?}");
            assert!(family.programs().iter().all(|program| program.low + 12 < program.high));
        }
    }

    #[test]
    fn melodic_programs_belong_to_one_family() {
        let mut numbers: Vec<u8> = Family::ALL
            .into_iter()
            .filter(|family| *family != Family::Drums)
            .flat_map(|family| family.programs().iter().map(|program| program.number))
            .collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }

    #[test]
    fn mentions() {
        use Family::*;
        assert_eq!(mentioned("A warm synth pad under an alto saxophone."), [Woodwind, Pad]);
        assert_eq!(mentioned("mallet percussion, synth bass and drums"), [Bass, Mallets, Drums]);
        assert_eq!(mentioned("Bassoon-like organic padding"), []);
        assert_eq!(mentioned("piano, piano and nylon-string guitar"), [Piano, Guitar]);
    }
}
