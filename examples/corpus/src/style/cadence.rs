//! How phrases close, by harmonic idiom.

use crate::theory::Mode;

/// The kind of a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// On the dominant: it asks for more.
    Half,
    /// From the dominant to the tonic.
    Full,
    /// From the dominant to another chord.
    Deceptive,
    /// From the subdominant to the tonic.
    Plagal,
}

/// A family of styles that close their phrases alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idiom {
    /// Common practice: classical and folk.
    Common,
    /// Pop, rock, latin, reggae.
    Popular,
    /// Sevenths and fifths downward: jazz, lo-fi.
    Jazz,
    /// Without a leading tone: ambient, electronic.
    Modal,
    /// Sevenths on every degree: blues, funk.
    Blues,
}

type Texts = &'static [&'static str];

impl Idiom {
    /// Two-bar closes of a kind.
    pub(crate) fn closes(self, close: Close, mode: Mode) -> Texts {
        let closes = match (self, mode) {
            (Self::Common, Mode::Major) => &COMMON_MAJOR,
            (Self::Common, Mode::Minor) => &COMMON_MINOR,
            (Self::Popular, Mode::Major) => &POPULAR_MAJOR,
            (Self::Popular, Mode::Minor) => &POPULAR_MINOR,
            (Self::Jazz, Mode::Major) => &JAZZ_MAJOR,
            (Self::Jazz, Mode::Minor) => &JAZZ_MINOR,
            (Self::Modal, Mode::Major) => &MODAL_MAJOR,
            (Self::Modal, Mode::Minor) => &MODAL_MINOR,
            (Self::Blues, Mode::Major) => &BLUES_MAJOR,
            (Self::Blues, Mode::Minor) => &BLUES_MINOR,
        };
        match close {
            Close::Half => closes.half,
            Close::Full => closes.full,
            Close::Deceptive => closes.deceptive,
            Close::Plagal => closes.plagal,
        }
    }
}

struct Closes {
    half: Texts,
    full: Texts,
    deceptive: Texts,
    plagal: Texts,
}

const COMMON_MAJOR: Closes = Closes {
    half: &["I ii/3 | V", "IV | V", "vi V7>V | V", "I/3 IV | V", "ii V7>V | V"],
    full: &["ii/3 V7 | I", "I/5 V7 | I", "IV V7 | I", "ii V7 | I", "ii7/3 V | I"],
    deceptive: &["IV V7 | vi", "ii/3 V | vi", "I/5 V | vi"],
    plagal: &["IV | I", "IV iv | I", "ii/3 IV | I"],
};
const COMMON_MINOR: Closes = Closes {
    half: &["iv | V", "bVI | V", "i iv/3 | V", "iim7b5/3 | V", "iv V7>V | V"],
    full: &["iv V7 | i", "i/5 V7 | i", "iim7b5/3 V7 | i", "bVI V7 | i"],
    deceptive: &["iv V7 | bVI", "i/5 V | bVI"],
    plagal: &["iv | i", "iv/3 iv | i"],
};
const POPULAR_MAJOR: Closes = Closes {
    half: &["IV | V", "ii | V", "ii7 | V7sus4 V", "vi IV | V"],
    full: &["IV V | I", "ii7 V | I", "V7sus4 V7 | I", "IV V/3 | I"],
    deceptive: &["IV V | vi", "ii V | vi", "V | IV"],
    plagal: &["IV | I", "iv | I", "bVII IV | I", "IV iv | I"],
};
const POPULAR_MINOR: Closes = Closes {
    half: &["bVI | V", "iv | V", "bVI bVII | V", "iv | V7sus4 V7"],
    full: &["iv V | i", "bVI bVII | i", "bVI V7 | i", "iv bVII | i"],
    deceptive: &["iv V | bVI", "bVII | bVI", "V | bVI"],
    plagal: &["iv | i", "bVII iv | i", "bVII | i"],
};
const JAZZ_MAJOR: Closes = Closes {
    half: &["vi7 V7>V | ii7 V7", "ii7 | V7sus4 V7", "V7>V | ii7 V7"],
    full: &["ii7 V7 | Imaj7", "ii7 bII7 | Imaj7", "ii7 V7 | I6"],
    deceptive: &["ii7 V7 | iii7 V7>ii", "ii7 V7 | vi7", "ii7 V7 | bVImaj7"],
    plagal: &["iv7 bVII7 | Imaj7", "IVmaj7 iv7 | Imaj7"],
};
const JAZZ_MINOR: Closes = Closes {
    half: &["bVImaj7 | V7", "iim7b5 | V7", "bVI7 | iim7b5 V7"],
    full: &["iim7b5 V7 | i7", "iim7b5 bII7 | i7", "iv7 V7 | i6"],
    deceptive: &["iim7b5 V7 | bVImaj7", "iv7 bVII7 | bIIImaj7"],
    plagal: &["iv7 | i7", "bVI7 iv7 | i7"],
};
const MODAL_MAJOR: Closes = Closes {
    half: &["ii | V", "IV | Vadd9", "IVmaj7 | vi"],
    full: &["V | I", "bVII | I", "ii7 Vsus4 | I"],
    deceptive: &["V | vi", "IV | vi"],
    plagal: &["IV | I", "iv | I", "IVadd9 iv | I"],
};
const MODAL_MINOR: Closes = Closes {
    half: &["bVI | bVII", "iv | v", "iv | bVII"],
    full: &["bVII | i", "bVI bVII | i", "v | i"],
    deceptive: &["bVII | bVI", "v | bVI"],
    plagal: &["iv | i", "IV | i"],
};
const BLUES_MAJOR: Closes = Closes {
    half: &["I7 V7>ii | ii7 V7", "I7 IV7 | V7", "I7 | V7"],
    full: &["V7 IV7 | I7", "ii7 V7 | I7", "V7 | I7"],
    deceptive: &["V7 | IV7", "ii7 V7 | vi7"],
    plagal: &["IV7 iv7 | I7", "IV7 | I7"],
};
const BLUES_MINOR: Closes = Closes {
    half: &["bVI7 | V7", "i7 iv7 | V7"],
    full: &["bVI7 V7 | i7", "iv7 V7 | i7", "V7 | i7"],
    deceptive: &["V7 | bVImaj7", "V7 | iv7"],
    plagal: &["iv7 | i7", "IV7 | i7"],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::Chord;

    #[test]
    fn closes_are_two_bars_that_end_as_they_say() {
        let idioms = [Idiom::Common, Idiom::Popular, Idiom::Jazz, Idiom::Modal, Idiom::Blues];
        for (idiom, mode) in idioms.into_iter().flat_map(|i| [(i, Mode::Major), (i, Mode::Minor)]) {
            for close in [Close::Half, Close::Full, Close::Deceptive, Close::Plagal] {
                for text in idiom.closes(close, mode) {
                    let roots: Vec<u8> = text
                        .split([' ', '|'])
                        .filter(|s| !s.is_empty())
                        .map(|s| Chord::parse(s, 0).unwrap().root)
                        .collect();
                    assert_eq!(text.split('|').count(), 2, "{text}");
                    let last = roots[roots.len() - 1];
                    match close {
                        Close::Plagal | Close::Full => assert_eq!(last, 0, "{text}"),
                        Close::Half | Close::Deceptive => assert_ne!(last, 0, "{text}"),
                    }
                }
            }
        }
    }
}
