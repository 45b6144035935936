//! Metres.

use crate::piece::{STEP, TICKS_PER_BEAT};

/// A metre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metre {
    /// Four quarter notes.
    FourFour,
    /// Three quarter notes.
    ThreeFour,
    /// Two beats of three eighth notes each.
    SixEight,
}

impl Metre {
    /// Every metre.
    pub const ALL: [Self; 3] = [Self::FourFour, Self::ThreeFour, Self::SixEight];

    /// The name used in tags, such as `6/8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FourFour => "4/4",
            Self::ThreeFour => "3/4",
            Self::SixEight => "6/8",
        }
    }

    /// The beats one would clap in a bar: a beat of 6/8 is a dotted quarter note.
    pub fn beats(self) -> u32 {
        match self {
            Self::FourFour => 4,
            Self::ThreeFour => 3,
            Self::SixEight => 2,
        }
    }

    /// Ticks of a beat.
    pub fn beat_ticks(self) -> u32 {
        match self {
            Self::FourFour | Self::ThreeFour => TICKS_PER_BEAT,
            Self::SixEight => TICKS_PER_BEAT * 3 / 2,
        }
    }

    /// Ticks of a bar.
    pub fn bar_ticks(self) -> u32 {
        self.beats() * self.beat_ticks()
    }

    /// Sixteenths of a beat.
    pub(crate) fn beat_steps(self) -> u32 {
        self.beat_ticks() / STEP
    }

    /// Sixteenths of a bar.
    pub(crate) fn bar_steps(self) -> u32 {
        self.bar_ticks() / STEP
    }

    /// Numerator, and the power of two that is the denominator (MIDI's time signature meta event).
    pub(crate) fn signature(self) -> (u8, u8) {
        match self {
            Self::FourFour => (4, 2),
            Self::ThreeFour => (3, 2),
            Self::SixEight => (6, 3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_whole_beats() {
        assert_eq!(Metre::ALL.map(Metre::bar_ticks), [3840, 2880, 2880]);
        assert_eq!(Metre::ALL.map(Metre::bar_steps), [16, 12, 12]);
        for metre in Metre::ALL {
            let (upper, power) = metre.signature();
            assert_eq!(metre.name(), format!("{upper}/{}", 1 << power));
            assert_eq!(metre.bar_ticks() << power, u32::from(upper) * 4 * TICKS_PER_BEAT);
        }
    }
}
