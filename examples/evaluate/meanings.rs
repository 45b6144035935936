//! Words of one meaning. Which of them are seen in training is found in the training captions, not written here.

use musicot::core::train::Tags;

/// Words that the project's targets name.
pub const NAMED: [&str; 3] = ["sad", "melancholic", "bouncy"];

/// What a word speaks of; words of one kind compete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Mood,
    Tempo,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Mood => "mood",
            Self::Tempo => "tempo",
        }
    }
}

/// A meaning.
pub struct Meaning {
    pub kind: Kind,
    pub words: &'static [&'static str],
    /// Tagged moods that are this one.
    moods: &'static [&'static str],
    /// Tempi from the first to below the second, in beats per minute.
    bpm: [f64; 2],
}

impl Meaning {
    const fn mood(moods: &'static [&'static str], words: &'static [&'static str]) -> Self {
        Self { kind: Kind::Mood, words, moods, bpm: [0.0, 0.0] }
    }

    const fn tempo(bpm: [f64; 2], words: &'static [&'static str]) -> Self {
        Self { kind: Kind::Tempo, words, moods: &[], bpm }
    }

    /// Whether a piece with these tags has this meaning.
    pub fn is_tagged(&self, tags: &Tags) -> bool {
        match self.kind {
            Kind::Mood => tags.mood.as_ref().is_some_and(|mood| self.moods.contains(&mood.as_str())),
            Kind::Tempo => tags.tempo_bpm.is_some_and(|bpm| self.bpm[0] <= bpm && bpm < self.bpm[1]),
        }
    }
}

/// Moods and tempi. The words of a meaning are near synonyms in common use.
pub static MEANINGS: [Meaning; 13] = [
    Meaning::mood(
        &["sad", "melancholic", "wistful", "weary"],
        &[
            "sad",
            "melancholic",
            "sorrowful",
            "mournful",
            "tearful",
            "bittersweet",
            "nostalgic",
            "heartbroken",
            "grieving",
            "forlorn",
            "rueful",
            "homesick",
            "blue",
        ],
    ),
    Meaning::mood(
        &["calm", "peaceful", "relaxed", "floating", "laid-back", "easygoing", "cosy"],
        &[
            "calm",
            "peaceful",
            "serene",
            "tranquil",
            "soothing",
            "relaxed",
            "restful",
            "placid",
            "becalmed",
            "unruffled",
            "pastoral",
        ],
    ),
    Meaning::mood(
        &["happy", "cheerful", "joyful", "bright", "lively", "playful", "festive"],
        &[
            "happy",
            "cheerful",
            "joyful",
            "merry",
            "jolly",
            "bouncy",
            "lively",
            "playful",
            "sunny",
            "delighted",
            "gleeful",
            "overjoyed",
            "perky",
            "chipper",
            "vivacious",
            "frisky",
        ],
    ),
    Meaning::mood(
        &["tender", "warm", "heartfelt"],
        &["tender", "warm", "loving", "affectionate", "sincere", "caring", "intimate", "kindly"],
    ),
    Meaning::mood(
        &["dark", "mysterious", "moody"],
        &[
            "dark",
            "gloomy",
            "sombre",
            "mysterious",
            "eerie",
            "brooding",
            "murky",
            "uncanny",
            "cryptic",
            "sulky",
        ],
    ),
    Meaning::mood(
        &["tense", "restless", "urgent"],
        &[
            "tense",
            "uneasy",
            "suspenseful",
            "restless",
            "agitated",
            "anxious",
            "nervy",
            "strained",
            "fidgety",
            "jittery",
            "breathless",
        ],
    ),
    Meaning::mood(
        &["dramatic", "intense", "powerful"],
        &[
            "dramatic",
            "intense",
            "fierce",
            "powerful",
            "stormy",
            "epic",
            "tempestuous",
            "ferocious",
            "thundering",
            "cinematic",
        ],
    ),
    Meaning::mood(
        &["triumphant"],
        &["triumphant", "victorious", "heroic", "proud", "conquering", "glorious"],
    ),
    Meaning::mood(
        &["elegant", "stately", "sophisticated", "serious"],
        &[
            "elegant",
            "graceful",
            "stately",
            "dignified",
            "refined",
            "solemn",
            "poised",
            "courtly",
            "regal",
            "urbane",
            "suave",
            "sober",
        ],
    ),
    Meaning::mood(
        &["groovy", "strutting", "energetic"],
        &["groovy", "danceable", "energetic", "pumping", "hip-shaking", "foot-tapping", "turbocharged"],
    ),
    Meaning::tempo(
        [0.0, 76.0],
        &["slow", "very slow", "unhurried", "slow-paced", "crawling", "sluggish", "leisurely"],
    ),
    Meaning::tempo(
        [76.0, 122.0],
        &["mid-tempo", "moderate", "medium-tempo", "walking-pace", "average-tempo", "jog-along", "strolling"],
    ),
    Meaning::tempo(
        [122.0, 1000.0],
        &[
            "fast",
            "brisk",
            "quick",
            "very fast",
            "rapid",
            "high-speed",
            "speedy",
            "nippy",
            "breakneck",
            "galloping",
        ],
    ),
];
