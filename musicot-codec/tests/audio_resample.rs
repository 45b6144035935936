//! Resampling: position, length, quality, and independence of block sizes.

#![allow(clippy::unwrap_used)] // also in the helpers of these tests

mod audio_common;

use std::f64::consts::TAU;

use audio_common::snr_db;
use musicot_codec::resample::{MAX_RATIO, MAX_SAMPLE_RATE_HZ, resampled_frames};
use musicot_codec::{Error, Resampler, resample};
use musicot_core::AudioBuffer;
use ndarray::{Array2, s};
use proptest::prelude::*;

const PAIRS: [(u32, u32); 9] = [
    (44_100, 48_000),
    (48_000, 44_100),
    (22_050, 48_000),
    (48_000, 16_000),
    (8_000, 48_000),
    (48_000, 8_000),
    (96_000, 48_000),
    (44_100, 22_050),
    (11_025, 44_101),
];

fn sine(hz: f64, rate: u32, frames: usize) -> Vec<f32> {
    (0..frames).map(|at| (0.5 * (TAU * hz * at as f64 / f64::from(rate)).sin()) as f32).collect()
}

fn converted(samples: Vec<f32>, from: u32, to: u32) -> Vec<f32> {
    let audio = resample(&AudioBuffer::mono(samples, from).unwrap(), to).unwrap();
    assert_eq!(audio.sample_rate_hz(), to);
    audio.samples().row(0).to_vec()
}

#[test]
fn an_impulse_stays_where_it_was() {
    for (from, to) in PAIRS {
        let ratio = f64::from(to) / f64::from(from);
        for at in [20_000_usize, 20_001, 23_457] {
            let mut impulse = vec![0.0; 50_000];
            impulse[at] = 1.0;
            let response = converted(impulse, from, to);
            // The response is symmetric about its centre of mass, which is therefore the impulse's place.
            let sum: f64 = response.iter().map(|sample| f64::from(*sample)).sum();
            let centre: f64 =
                response.iter().enumerate().map(|(at, sample)| at as f64 * f64::from(*sample)).sum::<f64>()
                    / sum;
            assert!((centre - at as f64 * ratio).abs() < 1e-2, "{from} to {to}: {centre} for {at}");
            // The gain at 0 Hz is that of the ratio: a constant stays what it is.
            assert!((sum / ratio - 1.0).abs() < 1e-4, "{from} to {to}: {sum}");
        }
    }
}

#[test]
fn the_length_is_exact() {
    for (from, to) in PAIRS {
        for frames in [0_usize, 1, 2, 3, 146, 147, 1_000, 44_100, 44_101] {
            let expected = (frames as f64 * f64::from(to) / f64::from(from) + 0.5).floor() as usize;
            assert_eq!(
                converted(vec![0.1; frames], from, to).len(),
                expected,
                "{frames} from {from} to {to}"
            );
            assert_eq!(resampled_frames(frames as u64, from, to), expected as u64);
        }
    }
    assert_eq!(resampled_frames(u64::MAX, 1, 2), u64::MAX, "saturates");
}

#[test]
fn tones_in_band_keep_90_db() {
    for (from, to) in PAIRS {
        let nyquist = f64::from(from.min(to)) / 2.0;
        for part in [0.01, 0.25, 0.7, 0.97] {
            let hz = part * nyquist;
            // The filter of the last pair, which has no common divisor, is two seconds long.
            let output = converted(sine(hz, from, 3 * from as usize), from, to);
            let expected = sine(hz, to, output.len());
            // Apart from both ends, where the tone meets silence.
            let edge = (f64::from(to) * 1.2) as usize;
            let middle = edge..output.len() - edge;
            let snr = snr_db(&expected[middle.clone()], &output[middle]);
            assert!(snr > 90.0, "{hz:.0} Hz from {from} to {to}: {snr:.1} dB");
        }
    }
}

#[test]
fn tones_out_of_band_are_rejected_by_90_db() {
    for (from, to) in PAIRS.into_iter().filter(|(from, to)| from > to) {
        for part in [1.01, 1.3, 1.9] {
            let hz = part * f64::from(to) / 2.0;
            if hz >= f64::from(from) / 2.0 {
                continue;
            }
            let output = converted(sine(hz, from, from as usize), from, to);
            let edge = (f64::from(to) * 0.3) as usize;
            let loudest = output[edge..output.len() - edge].iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
            // 90 dB below the tone's amplitude of 0.5.
            assert!(loudest < 0.5 * 10_f32.powf(-90.0 / 20.0), "{hz:.0} Hz from {from} to {to}: {loudest:e}");
        }
    }
}

#[test]
fn images_of_upsampled_tones_are_rejected_by_90_db() {
    // 10 kHz at 22.05 kHz has its image at 12.05 kHz: what is left after removing the tone is images and noise.
    let output = converted(sine(10_000.0, 22_050, 22_050), 22_050, 48_000);
    let expected = sine(10_000.0, 48_000, output.len());
    assert!(snr_db(&expected[12_000..36_000], &output[12_000..36_000]) > 90.0);
}

#[test]
fn equal_rates_change_nothing() {
    let audio = AudioBuffer::mono(sine(440.0, 48_000, 1_000), 48_000).unwrap();
    assert_eq!(resample(&audio, 48_000).unwrap(), audio);
    let mut stream = Resampler::new(48_000, 48_000, 1).unwrap();
    assert_eq!(stream.push(&audio).unwrap(), audio);
    assert_eq!(stream.finish().unwrap().frames(), 0);
}

#[test]
fn rates_that_cannot_be_converted_are_refused() {
    for (from, to) in [
        (0, 48_000),
        (48_000, 0),
        (MAX_SAMPLE_RATE_HZ + 1, 48_000),
        (100, 100 * MAX_RATIO + 1),
        (768_000, 1_000),
    ] {
        let error = Resampler::new(from, to, 1).unwrap_err();
        assert!(matches!(error, Error::SampleRates { .. }), "{error:?}");
    }
    assert!(Resampler::new(100, 100 * MAX_RATIO, 1).is_ok());
    assert!(Resampler::new(48_000, 44_100, 0).is_err(), "no channel");
    let mut stream = Resampler::new(48_000, 44_100, 2).unwrap();
    assert!(stream.push(&AudioBuffer::mono(vec![0.0], 48_000).unwrap()).is_err(), "one channel");
    let other_rate = AudioBuffer::new(Array2::zeros((2, 1)), 44_100).unwrap();
    assert!(stream.push(&other_rate).is_err(), "another rate");
}

#[test]
fn any_memory_order_is_read() {
    let planar =
        Array2::from_shape_fn((2, 3_000), |(channel, at)| ((at * (channel + 1)) as f32 * 0.01).sin());
    let interleaved = planar.t().as_standard_layout().into_owned().reversed_axes();
    assert!(!interleaved.is_standard_layout());
    let of = |samples| resample(&AudioBuffer::new(samples, 44_100).unwrap(), 48_000).unwrap();
    assert_eq!(of(planar), of(interleaved));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blocks_do_not_matter(
        pair in 0..PAIRS.len(),
        sizes in prop::collection::vec(0_usize..5_000, 0..12),
        seed in any::<u32>(),
    ) {
        let (from, to) = PAIRS[pair];
        let frames = sizes.iter().sum();
        let samples = Array2::from_shape_fn((2, frames), |(channel, at)| {
            ((at as u32).wrapping_mul(2_654_435_761).wrapping_add(seed).rotate_left(channel as u32 * 9) as f32) / u32::MAX as f32 - 0.5
        });
        let whole = resample(&AudioBuffer::new(samples.clone(), from).unwrap(), to).unwrap();
        let mut stream = Resampler::new(from, to, 2).unwrap();
        let mut parts = Vec::new();
        let mut start = 0;
        for size in sizes {
            let block = samples.slice(s![.., start..start + size]).to_owned();
            parts.push(stream.push(&AudioBuffer::new(block, from).unwrap()).unwrap().into_samples());
            start += size;
        }
        parts.push(stream.finish().unwrap().into_samples());
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        let joined = ndarray::concatenate(ndarray::Axis(1), &views).unwrap();
        prop_assert_eq!(&joined, whole.samples());
    }
}
