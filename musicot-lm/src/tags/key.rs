//! Musical keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A tonic and a mode, written as `C major` or `F# minor`.
///
/// ```
/// use musicot_lm::tags::Key;
/// let key: Key = "b-flat Minor".parse()?;
/// assert_eq!(key, "A# min".parse()?);
/// assert_eq!(key.to_string(), "A# minor");
/// # Ok::<(), musicot_lm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    tonic: u8,
    is_minor: bool,
}

const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

impl Key {
    /// Number of keys.
    pub const COUNT: usize = 24;

    /// A key from the tonic's pitch class (0 is C; octaves are ignored) and mode.
    pub fn new(tonic: u8, is_minor: bool) -> Self {
        Self { tonic: tonic % 12, is_minor }
    }

    /// Pitch class of the tonic: 0 is C, 11 is B.
    pub fn tonic(self) -> u8 {
        self.tonic
    }

    /// Whether the mode is minor.
    pub fn is_minor(self) -> bool {
        self.is_minor
    }

    /// Number of this key below [`Key::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.tonic) + if self.is_minor { 12 } else { 0 }
    }

    /// The key of a number.
    pub fn from_index(index: usize) -> Option<Self> {
        (index < Self::COUNT).then(|| Self::new((index % 12) as u8, index >= 12))
    }

    /// Reads a tonic such as `C`, `f#`, `Bb`, `e-flat` or `G sharp`.
    pub(super) fn parse_tonic(text: &str) -> Option<u8> {
        let mut letters = text.trim().chars();
        let natural = match letters.next()?.to_ascii_lowercase() {
            'c' => 0,
            'd' => 2,
            'e' => 4,
            'f' => 5,
            'g' => 7,
            'a' => 9,
            'b' => 11,
            _ => return None,
        };
        let rest = letters.as_str().to_ascii_lowercase();
        let change = match rest.trim_start_matches(['-', ' ']) {
            "" => 0,
            "#" | "♯" | "sharp" | "is" => 1,
            "b" | "♭" | "flat" => 11,
            _ => return None,
        };
        Some((natural + change) % 12)
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown =
            || Error::input("key", format!("expected a key such as `C major` or `F# minor`, got `{text}`"));
        let trimmed = text.trim();
        let (tonic, mode) = match trimmed.rsplit_once(char::is_whitespace) {
            Some((tonic, mode)) => (tonic, mode.to_lowercase()),
            None => match trimmed.strip_suffix('m') {
                Some(tonic) => (tonic, "minor".to_owned()),
                None => (trimmed, "major".to_owned()),
            },
        };
        let is_minor = match mode.as_str() {
            "major" | "maj" | "dur" => false,
            "minor" | "min" | "moll" => true,
            _ => return Err(unknown()),
        };
        Ok(Self::new(Self::parse_tonic(tonic).ok_or_else(unknown)?, is_minor))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES[usize::from(self.tonic)];
        write!(f, "{name} {}", if self.is_minor { "minor" } else { "major" })
    }
}

impl TryFrom<String> for Key {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}
