//! Key: tonic and mode, by correlation with key profiles.
//!
//! The mean chroma of a recording is compared with a profile of each of the 24 major and minor keys by Pearson's correlation (Krumhansl and
//! Schmuckler; Krumhansl, "Cognitive foundations of musical pitch", 1990). The profiles are those of Albrecht and
//! Shanahan ("The use of large corpora to train a new type of key-finding algorithm", Music Perception 31, 2013), the best on 400
//! rendered pieces of four published pairs (share of keys right: theirs 0.80, Krumhansl and Kessler's 0.72, Temperley's of 2007 0.72 and
//! of 2001 0.57), with each frame at unit length, so that loud frames do not outvote quiet ones (0.80 against 0.73).

use std::fmt;
use std::str::FromStr;

use ndarray::Array1;
use serde::Serialize;

use crate::chroma::{Chroma, PITCH_CLASSES};
use crate::statistics::correlation;
use crate::{Error, Result};

/// Weight of each degree above the tonic, in semitones.
const MAJOR: [f64; PITCH_CLASSES] =
    [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081];
const MINOR: [f64; PITCH_CLASSES] =
    [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052];

const NAMES: [&str; PITCH_CLASSES] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/// Whether the third above the tonic is great or small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Four semitones.
    Major,
    /// Three semitones.
    Minor,
}

/// A key of 12-tone equal temperament.
///
/// ```
/// use musicot_eval::key::{Key, Mode};
/// let key: Key = "Bb minor".parse()?;
/// assert_eq!((key.tonic(), key.mode(), key.to_string().as_str()), (10, Mode::Minor, "A# minor"));
/// # Ok::<(), musicot_eval::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Key {
    tonic: usize,
    mode: Mode,
}

impl Key {
    /// A key on a pitch class, 0..12 (0 is C).
    ///
    /// # Errors
    /// [`Error::Range`] for a pitch class outside.
    pub fn new(tonic: usize, mode: Mode) -> Result<Self> {
        if tonic < PITCH_CLASSES {
            return Ok(Self { tonic, mode });
        }
        Err(Error::range("tonic", format!("expected a pitch class of 0..{PITCH_CLASSES}, got {tonic}")))
    }

    /// Pitch class of the tonic, 0..12; 0 is C.
    pub fn tonic(&self) -> usize {
        self.tonic
    }

    /// Major or minor.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// All 24: the major keys from C upwards, then the minor ones.
    pub fn all() -> impl Iterator<Item = Self> {
        [Mode::Major, Mode::Minor]
            .into_iter()
            .flat_map(|mode| (0..PITCH_CLASSES).map(move |tonic| Self { tonic, mode }))
    }

    /// How near this estimate is to a reference, by the weights of the MIREX task "audio key detection": 1 for the same key, 0.5 for the
    /// key a fifth above in the same mode, 0.3 for the relative key, 0.2 for the parallel key, else 0.
    ///
    /// ```
    /// # fn main() -> musicot_eval::Result<()> {
    /// # use musicot_eval::key::Key;
    /// let (c, g, a): (Key, Key, Key) = ("C major".parse()?, "G major".parse()?, "A minor".parse()?);
    /// assert_eq!((g.mirex_score(c), a.mirex_score(c), c.mirex_score(g)), (0.5, 0.3, 0.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn mirex_score(&self, reference: Self) -> f64 {
        let above = (self.tonic + PITCH_CLASSES - reference.tonic) % PITCH_CLASSES;
        match (self.mode == reference.mode, above, reference.mode) {
            (true, 0, _) => 1.0,
            (true, 7, _) => 0.5,
            (false, 9, Mode::Major) | (false, 3, Mode::Minor) => 0.3,
            (false, 0, _) => 0.2,
            _ => 0.0,
        }
    }

    fn profile(&self, class: usize) -> f64 {
        let degree = (class + PITCH_CLASSES - self.tonic) % PITCH_CLASSES;
        match self.mode {
            Mode::Major => MAJOR[degree],
            Mode::Minor => MINOR[degree],
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Major => "major",
            Mode::Minor => "minor",
        };
        write!(f, "{} {mode}", NAMES[self.tonic])
    }
}

/// Reads a letter, any number of `#` or `b`, a space, and `major` or `minor`.
impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused =
            || Error::range("key", format!("expected a tonic and `major` or `minor`, got {text:?}"));
        let (tonic, mode) = text.split_once(' ').ok_or_else(refused)?;
        let mode = match mode {
            "major" => Mode::Major,
            "minor" => Mode::Minor,
            _ => return Err(refused()),
        };
        let mut characters = tonic.chars();
        let letter = characters.next().map(String::from).ok_or_else(refused)?;
        let mut tonic = NAMES.iter().position(|name| *name == letter).ok_or_else(refused)?;
        for accidental in characters {
            tonic = match accidental {
                '#' => tonic + 1,
                'b' => tonic + PITCH_CLASSES - 1,
                _ => return Err(refused()),
            } % PITCH_CLASSES;
        }
        Self::new(tonic, mode)
    }
}

/// How well each key fits a recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyScores {
    /// Correlation with the profile of each key, -1..=1, in the order of [`Key::all`].
    pub scores: Vec<(Key, f64)>,
    /// The key of the greatest; the first of equals.
    pub best: Key,
    /// How far it is ahead of the second, 0..=2.
    pub margin: f64,
}

impl KeyScores {
    /// Compares the mean of the active frames, each at unit length, with all keys; the mean over any part of a recording serves as well.
    ///
    /// ```
    /// # fn main() -> musicot_eval::Result<()> {
    /// use musicot_eval::{chroma::Chroma, core::AudioBuffer, key::KeyScores};
    /// let chord = [261.63_f32, 329.63, 392.0, 587.33]; // C, E, G, D
    /// let tone = |n: usize| chord.iter().map(|hz| (n as f32 * hz / 16_000.0 * std::f32::consts::TAU).sin() * 0.2).sum();
    /// let audio = AudioBuffer::mono((0..32_000).map(tone).collect(), 16_000)?;
    /// assert_eq!(KeyScores::of(&Chroma::of(&audio)?)?.best.to_string(), "C major");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Silent`] for a recording without an active frame.
    pub fn of(chroma: &Chroma) -> Result<Self> {
        let mean = mean_unit(chroma).ok_or_else(|| Error::Silent { what: "chroma".to_owned() })?;
        let mean = mean.to_vec();
        let score = |key: Key| {
            let profile: Vec<f64> = (0..PITCH_CLASSES).map(|class| key.profile(class)).collect();
            // A chroma that is flat fits every key equally.
            Ok((key, correlation(&mean, &profile)?.unwrap_or(0.0)))
        };
        let scores = Key::all().map(score).collect::<Result<Vec<_>>>()?;
        let mut order: Vec<(Key, f64)> = scores.clone();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(Self { best: order[0].0, margin: order[0].1 - order[1].1, scores })
    }
}

/// Mean `[12]` of the active frames at unit length; `None` without any.
fn mean_unit(chroma: &Chroma) -> Option<Array1<f64>> {
    let mut sum = Array1::<f64>::zeros(PITCH_CLASSES);
    let mut count = 0;
    for (row, active) in chroma.values().rows().into_iter().zip(chroma.active()) {
        if *active {
            sum += &(&row / row.dot(&row).sqrt());
            count += 1;
        }
    }
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signals::{buffer, noise, notes};

    /// A scale with its triads, one note every 0.25 s.
    fn melody(key: Key) -> Vec<f32> {
        let degrees: &[i32] = match key.mode {
            Mode::Major => &[0, 4, 7, 12, 5, 9, 12, 7, 11, 14, 2, 4, 0],
            Mode::Minor => &[0, 3, 7, 12, 5, 8, 12, 7, 11, 14, 2, 3, 0],
        };
        let pitch = |degree: &i32| 220.0 * (f64::from(*degree + key.tonic as i32 + 3) / 12.0).exp2();
        let score: Vec<_> =
            degrees.iter().enumerate().map(|(i, d)| (0.1 + 0.25 * i as f64, pitch(d))).collect();
        notes(&score, 4.0, 16_000)
    }

    #[test]
    fn melodies_are_in_their_keys() {
        for key in Key::all() {
            let found = KeyScores::of(&Chroma::of(&buffer(melody(key), 16_000)).unwrap()).unwrap();
            assert_eq!(found.best, key, "{found:?}");
            assert_eq!(found.scores.len(), 24);
            assert!(found.margin > 0.0);
        }
    }

    #[test]
    fn names_are_read_and_written() {
        for key in Key::all() {
            assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
        }
        assert_eq!("Cb major".parse::<Key>().unwrap().to_string(), "B major");
        assert_eq!("E# minor".parse::<Key>().unwrap().to_string(), "F minor");
        for bad in ["", "C", "H major", "C Major", "Cx minor", " major", "é major"] {
            assert!(matches!(bad.parse::<Key>(), Err(Error::Range { .. })), "{bad}");
        }
        assert!(Key::new(12, Mode::Major).is_err());
    }

    #[test]
    fn silence_has_no_key_and_noise_no_clear_one() {
        let silence = Chroma::of(&buffer(vec![0.0; 16_000], 16_000)).unwrap();
        assert!(matches!(KeyScores::of(&silence), Err(Error::Silent { .. })));
        let hiss = KeyScores::of(&Chroma::of(&buffer(noise(1, 64_000), 16_000)).unwrap()).unwrap();
        let triad =
            KeyScores::of(&Chroma::of(&buffer(melody(Key::new(0, Mode::Major).unwrap()), 16_000)).unwrap())
                .unwrap();
        assert!(hiss.margin < triad.margin, "{hiss:?}");
    }

    proptest! {
        #[test]
        fn a_transposition_moves_both_keys(a in 0_usize..12, b in 0_usize..12, by in 0_usize..12, modes in 0_usize..4) {
            let mode = |bit: usize| if modes >> bit & 1 == 0 { Mode::Major } else { Mode::Minor };
            let key = |tonic: usize, bit| Key::new(tonic % 12, mode(bit)).unwrap();
            let score = key(a, 0).mirex_score(key(b, 1));
            prop_assert_eq!(score, key(a + by, 0).mirex_score(key(b + by, 1)));
            prop_assert_eq!(score == 1.0, key(a, 0) == key(b, 1));
        }
    }
}
