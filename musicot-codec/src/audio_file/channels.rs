//! From the channels of a file to those asked for.

use std::f32::consts::FRAC_1_SQRT_2;

use symphonia::core::audio::{Channels as Layout, Position};

use crate::resample::Planar;

/// Most channels that are read or written (our choice; headers of damaged files claim up to 65 535).
pub(super) const MAX_CHANNELS: usize = 64;

/// The channels of decoded audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Channels {
    /// Those of the file.
    #[default]
    Keep,
    /// One: the mean of all channels.
    Mono,
    /// Two. A single channel is doubled; more than two are mixed down after ITU-R BS.775 (centre and surround at
    /// -3 dB on their sides, low-frequency effects left out), scaled so that full scale stays full scale.
    Stereo,
}

/// A matrix `[outputs][inputs]` of gains; absent where channels pass through.
#[derive(Debug)]
pub(super) struct Mix {
    gains: Option<Vec<Vec<f32>>>,
}

impl Mix {
    pub(super) fn new(wanted: Channels, layout: &Layout) -> Self {
        let inputs = layout.count();
        let gains = match wanted {
            Channels::Keep => None,
            Channels::Mono if inputs == 1 => None,
            Channels::Mono => Some(vec![vec![1.0 / inputs as f32; inputs]]),
            Channels::Stereo if inputs == 2 => None,
            Channels::Stereo if inputs == 1 => Some(vec![vec![1.0]; 2]),
            Channels::Stereo => Some(stereo_gains(layout)),
        };
        Self { gains }
    }

    /// Number of channels after mixing.
    pub(super) fn outputs(&self, inputs: usize) -> usize {
        self.gains.as_ref().map_or(inputs, Vec::len)
    }

    pub(super) fn apply(&self, block: Planar) -> Planar {
        let Some(gains) = &self.gains else { return block };
        let mut mixed = Planar::silence(gains.len(), block.frames());
        for (output, gains) in mixed.channels_mut().iter_mut().zip(gains) {
            for (input, gain) in block.channels().iter().zip(gains) {
                for (sum, sample) in output.iter_mut().zip(input) {
                    *sum += gain * sample;
                }
            }
        }
        mixed
    }
}

fn stereo_gains(layout: &Layout) -> Vec<Vec<f32>> {
    let inputs = layout.count();
    let Layout::Positioned(positions) = layout else {
        // Channels of unknown place: their mean on both sides.
        return vec![vec![1.0 / inputs as f32; inputs]; 2];
    };
    let (mut left, mut right): (Vec<f32>, Vec<f32>) = positions.iter().map(side_gains).unzip();
    let loudest = left.iter().sum::<f32>().max(right.iter().sum());
    if loudest > 0.0 {
        left.iter_mut().chain(&mut right).for_each(|gain| *gain /= loudest);
    }
    vec![left, right]
}

/// Gains of one loudspeaker position to the left and right.
fn side_gains(position: Position) -> (f32, f32) {
    const LEFT: Position = Position::REAR_LEFT
        .union(Position::SIDE_LEFT)
        .union(Position::FRONT_LEFT_CENTER)
        .union(Position::FRONT_LEFT_WIDE)
        .union(Position::TOP_FRONT_LEFT)
        .union(Position::TOP_REAR_LEFT)
        .union(Position::TOP_SIDE_LEFT)
        .union(Position::BOTTOM_FRONT_LEFT);
    const RIGHT: Position = Position::REAR_RIGHT
        .union(Position::SIDE_RIGHT)
        .union(Position::FRONT_RIGHT_CENTER)
        .union(Position::FRONT_RIGHT_WIDE)
        .union(Position::TOP_FRONT_RIGHT)
        .union(Position::TOP_REAR_RIGHT)
        .union(Position::TOP_SIDE_RIGHT)
        .union(Position::BOTTOM_FRONT_RIGHT);
    match position {
        Position::FRONT_LEFT => (1.0, 0.0),
        Position::FRONT_RIGHT => (0.0, 1.0),
        Position::FRONT_CENTER => (FRAC_1_SQRT_2, FRAC_1_SQRT_2),
        Position::LFE1 | Position::LFE2 => (0.0, 0.0),
        _ if LEFT.contains(position) => (FRAC_1_SQRT_2, 0.0),
        _ if RIGHT.contains(position) => (0.0, FRAC_1_SQRT_2),
        // One rear or overhead channel: half its power to each side, at -3 dB.
        _ => (0.5, 0.5),
    }
}

#[cfg(test)]
mod tests {
    use symphonia::core::audio::layouts::CHANNEL_LAYOUT_5P1;

    use super::*;

    fn mix_of_ones(wanted: Channels, layout: &Layout) -> Vec<f32> {
        let mut block = Planar::silence(layout.count(), 1);
        block.channels_mut().iter_mut().for_each(|channel| channel[0] = 1.0);
        Mix::new(wanted, layout).apply(block).channels().iter().map(|channel| channel[0]).collect()
    }

    #[test]
    fn full_scale_stays_full_scale() {
        for layout in [CHANNEL_LAYOUT_5P1, Layout::Discrete(3), Layout::Discrete(1), Layout::Discrete(2)] {
            for (wanted, count) in
                [(Channels::Mono, 1), (Channels::Stereo, 2), (Channels::Keep, layout.count())]
            {
                let mixed = mix_of_ones(wanted, &layout);
                assert_eq!(mixed.len(), count);
                // Rounding of at most six sums in f32.
                assert!(mixed.iter().all(|sample| (sample - 1.0).abs() < 1e-6), "{wanted:?} {mixed:?}");
            }
        }
    }

    #[test]
    fn surround_goes_to_its_own_side() {
        // Planes: front left, front right, centre, low frequencies, surround left, surround right.
        let gains = stereo_gains(&CHANNEL_LAYOUT_5P1);
        let scale = 1.0 + 2.0 * FRAC_1_SQRT_2;
        let expected = [1.0, 0.0, FRAC_1_SQRT_2, 0.0, FRAC_1_SQRT_2, 0.0].map(|gain| gain / scale);
        for (gain, expected) in gains[0].iter().zip(expected) {
            assert!((gain - expected).abs() < 1e-6, "{:?}", gains[0]);
        }
        assert_eq!(gains[1][5], gains[0][4]);
    }
}
