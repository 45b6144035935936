//! Loudness, the high-pass filter, and the phrase that programs are measured with.

use crate::family::{Family, Program};
use crate::piece::{Note, Part, Role, SAMPLE_RATE_HZ, TICKS_PER_BEAT, ticks_to_secs};

/// Frames quieter than the loudest by more than this do not count as sound.
const GATE_RATIO: f32 = 0.01;
/// Length of the frames that loudness is gated by.
const GATE_FRAMES: usize = SAMPLE_RATE_HZ as usize / 20;
/// Corner of the high-pass filter: below every written note, above the offset of some presets.
const HIGH_PASS_HZ: f64 = 25.0;

/// RMS over the 50-ms frames that are less than 40 dB below the loudest one.
pub(crate) fn active_rms(samples: &[f32]) -> f32 {
    let powers: Vec<f32> = samples
        .chunks(GATE_FRAMES)
        .map(|chunk| chunk.iter().map(|sample| sample * sample).sum::<f32>() / chunk.len() as f32)
        .collect();
    let loudest = powers.iter().copied().fold(0.0, f32::max);
    let gate = loudest * GATE_RATIO * GATE_RATIO;
    let active: Vec<f32> = powers.into_iter().filter(|power| *power > gate).collect();
    if active.is_empty() {
        return 0.0;
    }
    (active.iter().sum::<f32>() / active.len() as f32).sqrt()
}

/// Largest magnitude.
pub(crate) fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |most, sample| sample.abs().max(most))
}

/// Fades the last `length` samples to zero.
pub(crate) fn fade_out(samples: &mut [f32], length: usize) {
    let length = length.min(samples.len());
    let start = samples.len() - length;
    for (index, sample) in samples[start..].iter_mut().enumerate() {
        *sample *= 1.0 - (index + 1) as f32 / length as f32;
    }
}

/// Second-order Butterworth high-pass at 25 Hz (bilinear transform of the analogue prototype), in place.
pub(crate) fn high_pass(samples: &mut [f32]) {
    let warped = (std::f64::consts::PI * HIGH_PASS_HZ / f64::from(SAMPLE_RATE_HZ)).tan();
    let norm = 1.0 / (1.0 + std::f64::consts::SQRT_2 * warped + warped * warped);
    let feedback = [
        2.0 * (warped * warped - 1.0) * norm,
        (1.0 - std::f64::consts::SQRT_2 * warped + warped * warped) * norm,
    ];
    // Transposed direct form II: two states.
    let (mut first, mut second) = (0.0f64, 0.0f64);
    for sample in samples {
        let input = f64::from(*sample) * norm;
        let output = input + first;
        first = -2.0 * input - feedback[0] * output + second;
        second = input - feedback[1] * output;
        *sample = output as f32;
    }
}

/// The phrase a program is measured with, its tempo, and its length in samples.
pub(crate) fn reference_part(family: Family, program: &'static Program) -> (Part, u32, usize) {
    const TEMPO_BPM: u32 = 120;
    const BEATS: u32 = 8;
    let note = |beat: u32, key: u8, velocity: u8| Note {
        start: beat * TICKS_PER_BEAT,
        length: TICKS_PER_BEAT * 9 / 10,
        key,
        velocity,
    };
    let notes = if family == Family::Drums {
        (0..BEATS)
            .flat_map(|beat| [note(beat, if beat % 2 == 0 { 36 } else { 38 }, 100), note(beat, 42, 90)])
            .collect()
    } else {
        let middle = reference_key(family, program);
        (0..BEATS).zip([0, 4, 7, 12, 7, 4, 0, 5]).map(|(beat, up)| note(beat, middle + up, 96)).collect()
    };
    let part = Part { family, program, role: Role::Solo, notes };
    let frames = (ticks_to_secs(BEATS * TICKS_PER_BEAT, TEMPO_BPM) * f64::from(SAMPLE_RATE_HZ)) as usize;
    (part, TEMPO_BPM, frames)
}

/// Where parts of the family mostly play.
fn reference_key(family: Family, program: &Program) -> u8 {
    match family {
        Family::Bass => 33,
        _ => 62u8.clamp(program.low, program.high - 12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, secs: f64) -> Vec<f32> {
        let count = (secs * f64::from(SAMPLE_RATE_HZ)) as usize;
        let step = std::f64::consts::TAU * hz / f64::from(SAMPLE_RATE_HZ);
        (0..count).map(|n| (step * n as f64).sin() as f32).collect()
    }

    #[test]
    fn high_pass_removes_offset_and_keeps_notes() {
        let mut offset = vec![0.5; 48_000];
        high_pass(&mut offset);
        assert!(peak(&offset[24_000..]) < 1e-4);
        let mut note = tone(110.0, 1.0);
        high_pass(&mut note);
        // -0.01 dB at 110 Hz for this order; 0.5 % leaves room for the settling.
        assert!((active_rms(&note[24_000..]) - 0.5f32.sqrt()).abs() < 0.004);
        let mut corner = tone(25.0, 2.0);
        high_pass(&mut corner);
        assert!((active_rms(&corner[48_000..]) - 0.5).abs() < 0.01, "-3 dB at the corner");
    }

    #[test]
    fn silence_does_not_count() {
        let mut samples = tone(440.0, 1.0);
        samples.extend(vec![0.0; 480_000]);
        assert!((active_rms(&samples) - 0.5f32.sqrt()).abs() < 1e-3);
        assert_eq!(active_rms(&[]), 0.0);
        assert_eq!(active_rms(&[0.0; 100]), 0.0);
    }

    #[test]
    fn fade_ends_at_zero() {
        let mut samples = vec![1.0; 10];
        fade_out(&mut samples, 4);
        assert_eq!(samples[5], 1.0);
        assert_eq!(samples[9], 0.0);
        fade_out(&mut samples, 400);
    }
}
