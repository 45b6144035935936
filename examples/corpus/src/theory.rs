//! Keys, scales and chords as pitch classes (0 = C ... 11 = B).

/// Major or (natural) minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The major mode.
    Major,
    /// The minor mode: natural minor, whose seventh is raised over dominant chords.
    Minor,
}

/// A tonic and a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Pitch class of the tonic, 0 (C) to 11 (B).
    pub tonic: u8,
    /// The mode.
    pub mode: Mode,
}

const MAJOR_NAMES: [&str; 12] = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
const MINOR_NAMES: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"];
const MAJOR_SCALE: [u8; 7] = [0, 2, 4, 5, 7, 9, 11];
const MINOR_SCALE: [u8; 7] = [0, 2, 3, 5, 7, 8, 10];

impl Key {
    /// The tonic's usual spelling in this mode, such as `Bb`.
    pub fn tonic_name(&self) -> &'static str {
        let names = match self.mode {
            Mode::Major => &MAJOR_NAMES,
            Mode::Minor => &MINOR_NAMES,
        };
        names[usize::from(self.tonic % 12)]
    }

    /// `major` or `minor`.
    pub fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Major => "major",
            Mode::Minor => "minor",
        }
    }

    /// The name used in tags, such as `C major` or `F# minor`.
    pub fn name(&self) -> String {
        format!("{} {}", self.tonic_name(), self.mode_name())
    }

    /// Pitch classes of the scale, from the tonic up.
    pub fn scale(&self) -> [u8; 7] {
        let steps = match self.mode {
            Mode::Major => MAJOR_SCALE,
            Mode::Minor => MINOR_SCALE,
        };
        steps.map(|step| (self.tonic + step) % 12)
    }

    /// Sharps (positive) or flats (negative) of the key signature, -6 to 6 (MIDI's key signature meta event).
    pub fn signature(&self) -> i8 {
        let relative_major = match self.mode {
            Mode::Major => self.tonic % 12,
            Mode::Minor => (self.tonic + 3) % 12,
        };
        // A fifth up adds a sharp: 7 * 7 = 49 = 1 (mod 12), so seven times the tonic counts the fifths.
        let fifths = (i16::from(relative_major) * 7).rem_euclid(12) as i8;
        if fifths > 6 { fifths - 12 } else { fifths }
    }
}

/// A chord: a root, the intervals above it, and the tone in the bass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chord {
    /// Pitch class of the root.
    pub root: u8,
    /// Semitones above the root, the root (0) first.
    pub intervals: Vec<u8>,
    /// Pitch class of the lowest note: the root, or another chord tone in an inversion.
    pub bass: u8,
}

impl Chord {
    /// Reads a Roman numeral such as `I`, `vi`, `V7`, `bVII`, `Imaj7` or `iim7b5`, relative to `tonic`.
    ///
    /// Numerals count the degrees of the MAJOR scale whatever the mode; a minor key's own degrees carry
    /// their flat (`bIII`, `bVI`, `bVII`). Lower case means a minor third. `/3`, `/5` and `/7` put that chord tone
    /// in the bass (`V7/3`); `>` names the degree a chord belongs to (`V7>ii`, the dominant of the second degree).
    /// `None` when it is not such a symbol.
    pub fn parse(symbol: &str, tonic: u8) -> Option<Self> {
        let (symbol, tonic) = match symbol.split_once('>') {
            Some((symbol, degree)) => (symbol, Self::parse(degree, tonic)?.root),
            None => (symbol, tonic),
        };
        let (symbol, lowest) = symbol.split_once('/').unwrap_or((symbol, "1"));
        let (shift, rest) = match symbol.as_bytes().first()? {
            b'b' => (11, &symbol[1..]),
            b'#' => (1, &symbol[1..]),
            _ => (0, symbol),
        };
        let length = rest.bytes().take_while(|byte| b"IViv".contains(byte)).count();
        let (numeral, suffix) = rest.split_at(length);
        let degree = degree(numeral)?;
        let minor = numeral.bytes().all(|byte| byte.is_ascii_lowercase());
        let intervals = intervals(minor, suffix)?;
        let member = match lowest {
            "1" => 0,
            "3" => 1,
            "5" => 2,
            "7" => 3,
            _ => return None,
        };
        let root = (tonic + MAJOR_SCALE[degree] + shift) % 12;
        let bass = (root + intervals.get(member)?) % 12;
        Some(Self { root, intervals, bass })
    }

    /// The tonic triad of a key.
    pub fn tonic(key: Key) -> Self {
        let third = if key.mode == Mode::Major { 4 } else { 3 };
        Self { root: key.tonic % 12, intervals: vec![0, third, 7], bass: key.tonic % 12 }
    }

    /// The dominant seventh chord that leads to this one.
    pub fn dominant(&self) -> Self {
        let root = (self.root + 7) % 12;
        Self { root, intervals: vec![0, 4, 7, 10], bass: root }
    }

    /// Pitch classes of the chord, the root first.
    pub fn pitch_classes(&self) -> Vec<u8> {
        self.intervals.iter().map(|interval| (self.root + interval) % 12).collect()
    }

    /// Whether a pitch class belongs to the chord.
    pub fn contains(&self, pitch_class: u8) -> bool {
        self.pitch_classes().contains(&(pitch_class % 12))
    }

    /// Semitones from the root to the third (or to what replaces it in a suspended chord).
    pub fn third(&self) -> u8 {
        self.intervals.iter().copied().find(|i| (2..=5).contains(i)).unwrap_or(4)
    }
}

fn degree(numeral: &str) -> Option<usize> {
    ["I", "II", "III", "IV", "V", "VI", "VII"].iter().position(|name| name.eq_ignore_ascii_case(numeral))
}

fn intervals(minor: bool, suffix: &str) -> Option<Vec<u8>> {
    let third = if minor { 3 } else { 4 };
    Some(match suffix {
        "" => vec![0, third, 7],
        "7" => vec![0, third, 7, 10],
        "maj7" => vec![0, third, 7, 11],
        "6" => vec![0, third, 7, 9],
        "9" => vec![0, third, 10, 14],
        "add9" => vec![0, third, 7, 14],
        "m7b5" => vec![0, 3, 6, 10],
        "dim" => vec![0, 3, 6],
        "dim7" => vec![0, 3, 6, 9],
        "7sus4" => vec![0, 5, 7, 10],
        "sus4" => vec![0, 5, 7],
        "sus2" => vec![0, 2, 7],
        _ => return None,
    })
}

/// The scale a melody uses over a chord: the key's, with a foreign chord tone in place of its neighbour.
///
/// A raised third (the leading tone of a dominant) replaces the note a semitone below it, any other foreign
/// tone (a borrowed, flattened one) the note a semitone above.
pub fn scale_over(key: Key, chord: &Chord) -> Vec<u8> {
    let mut scale = key.scale().to_vec();
    for pitch_class in chord.pitch_classes() {
        if scale.contains(&pitch_class) {
            continue;
        }
        let is_major_third = (pitch_class + 12 - chord.root) % 12 == 4;
        let replaced = if is_major_third { (pitch_class + 11) % 12 } else { (pitch_class + 1) % 12 };
        scale.retain(|&tone| tone != replaced || chord.contains(tone));
        scale.push(pitch_class);
    }
    scale.sort_unstable();
    scale
}

/// All 24 keys, by tonic, major before minor.
pub fn all_keys() -> impl Iterator<Item = Key> {
    (0..12).flat_map(|tonic| [Mode::Major, Mode::Minor].map(|mode| Key { tonic, mode }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A_MINOR: Key = Key { tonic: 9, mode: Mode::Minor };

    #[test]
    fn numerals() {
        let chord = |symbol| Chord::parse(symbol, 0).unwrap();
        assert_eq!(chord("V7").pitch_classes(), [7, 11, 2, 5]);
        assert_eq!(chord("vi").pitch_classes(), [9, 0, 4]);
        assert_eq!(chord("bVII").pitch_classes(), [10, 2, 5]);
        assert_eq!(Chord::parse("iv", 9).unwrap().pitch_classes(), [2, 5, 9]);
        assert_eq!(chord("V7>ii").pitch_classes(), [9, 1, 4, 7]);
        assert_eq!((chord("V7/3").bass, chord("V7/3").root), (11, 7));
        assert_eq!(chord("vi").dominant(), chord("V7>vi"));
        for wrong in ["", "b", "X", "VIII", "Vx", "H7", "I/9", "I/7", "V>", "V>X"] {
            assert_eq!(Chord::parse(wrong, 0), None, "{wrong}");
        }
    }

    #[test]
    fn leading_tone_replaces_the_natural_seventh() {
        let scale = scale_over(A_MINOR, &Chord::parse("V7", 9).unwrap());
        assert!(scale.contains(&8) && !scale.contains(&7), "{scale:?}");
        assert_eq!(scale.len(), 7);
    }

    #[test]
    fn borrowed_chord_flattens() {
        let c_major = Key { tonic: 0, mode: Mode::Major };
        let scale = scale_over(c_major, &Chord::parse("bVII", 0).unwrap());
        assert!(scale.contains(&10) && !scale.contains(&11), "{scale:?}");
    }

    #[test]
    fn signatures() {
        let of = |tonic, mode| Key { tonic, mode }.signature();
        assert_eq!(of(0, Mode::Major), 0);
        assert_eq!(of(7, Mode::Major), 1);
        assert_eq!(of(5, Mode::Major), -1);
        assert_eq!(of(9, Mode::Minor), 0);
        assert_eq!(of(6, Mode::Minor), 3);
        assert_eq!(of(10, Mode::Minor), -5);
    }

    #[test]
    fn twenty_four_names() {
        let names: std::collections::BTreeSet<_> = all_keys().map(|key| key.name()).collect();
        assert_eq!(names.len(), 24);
    }
}
