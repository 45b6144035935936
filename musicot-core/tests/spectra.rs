//! Transforms and filter banks against slow or independent computations.
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::f64::consts::TAU;

use musicot_core::dsp::{
    GriffinLim, MelBank, MelConfig, Padding, Stft, griffin_lim, log_frequency_bank, refine_phases,
};
use musicot_core::tch::{self, Device, Kind, Tensor};
use musicot_core::tensor::to_vec;
use musicot_core::{CounterRng, Error};
use proptest::prelude::*;

fn noise(batch: i64, samples: i64) -> Tensor {
    CounterRng::new(4).normal(0, &[batch, samples], Device::Cpu).unwrap()
}

fn largest(tensor: &Tensor) -> f64 {
    if tensor.numel() == 0 { 0.0 } else { tensor.abs().max().double_value(&[]) }
}

/// One bin of one frame by the definition.
fn dft(samples: &[f32], start: i64, n_fft: i64, bin: i64) -> (f64, f64) {
    let (mut re, mut im) = (0.0, 0.0);
    for i in 0..n_fft {
        let at = start + i;
        let sample = usize::try_from(at).ok().and_then(|at| samples.get(at)).copied().unwrap_or(0.0);
        let window = 0.5 - 0.5 * (TAU * i as f64 / n_fft as f64).cos();
        let angle = -TAU * (bin * i) as f64 / n_fft as f64;
        re += window * f64::from(sample) * angle.cos();
        im += window * f64::from(sample) * angle.sin();
    }
    (re, im)
}

#[test]
fn the_transform_is_the_definition() {
    for (n_fft, hop, padding) in [
        (32, 8, Padding::Center),
        (32, 8, Padding::Same),
        (48, 20, Padding::Same),
        (30, 7, Padding::Center),
        (15, 5, Padding::Center),
        (15, 5, Padding::Same),
    ] {
        let stft = Stft::new(n_fft, hop, padding, Device::Cpu).unwrap();
        let samples = noise(1, 101);
        let spectrum = stft.forward(&samples).unwrap();
        let (frames, first) = match padding {
            Padding::Center => (101 / hop + 1, -(n_fft / 2)),
            _ => (101 / hop, -(n_fft - hop) / 2),
        };
        assert_eq!(spectrum.size(), [1, n_fft / 2 + 1, frames]);
        let samples = to_vec(&samples).unwrap();
        let parts = to_vec(&spectrum.view_as_real().contiguous()).unwrap();
        for bin in 0..stft.bins() {
            for frame in 0..frames {
                let (re, im) = dft(&samples, first + frame * hop, n_fft, bin);
                let at = 2 * (bin * frames + frame) as usize;
                // f32 sums of some tens of values of magnitude one.
                assert!((f64::from(parts[at]) - re).abs() < 2e-5, "{n_fft} {bin} {frame}");
                assert!((f64::from(parts[at + 1]) - im).abs() < 2e-5, "{n_fft} {bin} {frame}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn inverse_of_forward_is_the_signal(
        log_hop in 2_u32..7, overlap in 1_i64..4, frames in 1_i64..9, batch in 1_i64..3, same in any::<bool>(),
    ) {
        let hop = 1_i64 << log_hop;
        let (n_fft, padding) = (2 * overlap * hop, if same { Padding::Same } else { Padding::Center });
        let stft = Stft::new(n_fft, hop, padding, Device::Cpu).unwrap();
        let samples = noise(batch, frames * hop);
        let back = stft.inverse(&stft.forward(&samples).unwrap()).unwrap();
        prop_assert_eq!(back.size(), samples.size());
        // Roundings of f32, at the edges divided by a squared window of 1/4.
        prop_assert!(largest(&(back - samples)) < 2e-5);
    }

    #[test]
    fn an_impulse_stays_where_it_is(position in 0_i64..960, same in any::<bool>()) {
        let padding = if same { Padding::Same } else { Padding::Center };
        let stft = Stft::new(256, 64, padding, Device::Cpu).unwrap();
        let samples = Tensor::zeros([1, 960], (Kind::Float, Device::Cpu));
        let _ = samples.narrow(1, position, 1).fill_(1.0);
        let spectrum = stft.forward(&samples).unwrap();
        prop_assert!(largest(&(stft.inverse(&spectrum).unwrap() - &samples)) < 1e-5);
        // The loudest frame is the one whose middle is nearest.
        let loudest = spectrum.abs().sum_dim_intlist([0, 1].as_slice(), false, Kind::Float).argmax(0, false).int64_value(&[]);
        let middle = if same { loudest * 64 + 32 } else { loudest * 64 };
        prop_assert!((middle - position).abs() <= 33, "{position} {middle}");
    }
}

#[test]
fn short_and_empty_signals_have_their_frames() {
    let same = Stft::new(64, 16, Padding::Same, Device::Cpu).unwrap();
    let center = Stft::new(64, 16, Padding::Center, Device::Cpu).unwrap();
    for samples in [0, 1, 15, 16, 17, 40] {
        assert_eq!(same.forward(&noise(2, samples)).unwrap().size(), [2, 33, samples / 16], "{samples}");
        assert_eq!(
            center.forward(&noise(2, samples)).unwrap().size(),
            [2, 33, samples / 16 + 1],
            "{samples}"
        );
    }
    let empty = same.forward(&noise(2, 3)).unwrap();
    assert_eq!(same.inverse(&empty).unwrap().size(), [2, 0]);
    let one = center.forward(&noise(1, 0)).unwrap();
    assert_eq!(center.inverse(&one).unwrap().size(), [1, 0]);
}

#[test]
fn transforms_refuse_what_does_not_fit() {
    for (n_fft, hop, padding) in [
        (64, 0, Padding::Same),
        (64, 65, Padding::Center),
        (0, 0, Padding::Same),
        (64, 15, Padding::Same),
        (-4, -8, Padding::Center),
    ] {
        assert!(
            matches!(Stft::new(n_fft, hop, padding, Device::Cpu), Err(Error::Config { .. })),
            "{n_fft} {hop}"
        );
    }
    let stft = Stft::new(64, 16, Padding::Same, Device::Cpu).unwrap();
    assert!(matches!(stft.forward(&noise(1, 64).squeeze()), Err(Error::Shape { .. })));
    let spectrum = Tensor::zeros([1, 32, 4], (Kind::ComplexFloat, Device::Cpu));
    assert!(matches!(stft.inverse(&spectrum), Err(Error::Shape { .. })));
}

#[derive(serde::Deserialize)]
struct Golden {
    banks: Vec<GoldenBank>,
}

#[derive(serde::Deserialize)]
struct GoldenBank {
    sample_rate_hz: u32,
    n_fft: usize,
    bands: usize,
    min_hz: f64,
    max_hz: f64,
    scale: musicot_core::dsp::MelScale,
    norm: musicot_core::dsp::MelNorm,
    rows: Vec<GoldenRow>,
}

#[derive(serde::Deserialize)]
struct GoldenRow {
    start: usize,
    weights: Vec<f64>,
}

/// Numbers made by tests/reference/core_banks.py.
#[test]
fn mel_banks_are_those_of_librosa() {
    let golden: Golden = serde_json::from_str(include_str!("golden/mel_banks.json")).unwrap();
    assert_eq!(golden.banks.len(), 5);
    for case in golden.banks {
        let bank = MelBank::new(&MelConfig {
            sample_rate_hz: case.sample_rate_hz,
            n_fft: case.n_fft,
            bands: case.bands,
            min_hz: case.min_hz,
            max_hz: case.max_hz,
            scale: case.scale,
            norm: case.norm,
        })
        .unwrap();
        assert_eq!(bank.weights.dim(), (case.bands, case.n_fft / 2 + 1));
        let highest = f64::from(bank.weights.iter().fold(0_f32, |m, w| m.max(*w)));
        for (row, golden) in bank.weights.rows().into_iter().zip(&case.rows) {
            for (bin, weight) in row.iter().enumerate() {
                let expected =
                    bin.checked_sub(golden.start).and_then(|i| golden.weights.get(i)).copied().unwrap_or(0.0);
                // One rounding to f32, nine digits in the file, and rounding of the edges, which a steep filter magnifies.
                assert!(
                    (f64::from(*weight) - expected).abs() < 1e-6 * highest,
                    "bin {bin}: {weight} {expected}"
                );
            }
        }
    }
}

#[test]
fn impossible_banks_are_refused() {
    use musicot_core::dsp::{MelNorm, MelScale};
    let good = MelConfig {
        sample_rate_hz: 48_000,
        n_fft: 1024,
        bands: 64,
        min_hz: 50.0,
        max_hz: 14_000.0,
        scale: MelScale::Slaney,
        norm: MelNorm::Slaney,
    };
    assert!(MelBank::new(&good).is_ok());
    for bad in [
        MelConfig { bands: 0, ..good },
        MelConfig { n_fft: 0, ..good },
        MelConfig { sample_rate_hz: 0, ..good },
        MelConfig { min_hz: -1.0, ..good },
        MelConfig { min_hz: f64::NAN, ..good },
        MelConfig { max_hz: 50.0, ..good },
        MelConfig { max_hz: 24_001.0, ..good },
        MelConfig { max_hz: f64::INFINITY, ..good },
    ] {
        assert!(matches!(MelBank::new(&bad), Err(Error::Config { .. })), "{bad:?}");
    }
    for (rate, n_fft, min_hz, per_octave, bands) in [
        (48_000, 0, 50.0, 12, 80),
        (48_000, 4096, 0.0, 12, 80),
        (48_000, 4096, f64::NAN, 12, 80),
        (48_000, 4096, 50.0, 0, 80),
        (48_000, 4096, 50.0, 12, 0),
        (0, 4096, 50.0, 12, 80),
        (48_000, 4096, 50.0, 12, 200),
    ] {
        assert!(matches!(
            log_frequency_bank(rate, n_fft, min_hz, per_octave, bands),
            Err(Error::Config { .. })
        ));
    }
}

proptest! {
    #[test]
    fn log_frequency_bands_are_means_around_their_pitch(
        per_octave in 6_usize..37, octaves in 1_usize..8, min_hz in 25.0_f64..80.0, log_fft in 10_u32..14,
    ) {
        let (n_fft, bands) = (1_usize << log_fft, per_octave * octaves);
        let bank = log_frequency_bank(48_000, n_fft, min_hz, per_octave, bands).unwrap();
        let bin_hz = 48_000.0 / n_fft as f64;
        let mut last = 0.0;
        for (band, row) in bank.rows().into_iter().enumerate() {
            let hz = min_hz * 2_f64.powf(band as f64 / per_octave as f64);
            prop_assert!(row.iter().all(|w| *w >= 0.0));
            // f32 sum of at most a few hundred weights.
            prop_assert!((row.sum() - 1.0).abs() < 1e-5);
            let center: f64 = row.iter().enumerate().map(|(bin, w)| f64::from(*w) * bin as f64 * bin_hz).sum();
            // The kernel is symmetric; sampling it moves its mean by less than a bin.
            prop_assert!((center - hz).abs() < bin_hz, "band {}: {} {}", band, center, hz);
            prop_assert!(center >= last - 1e-3);
            last = center;
        }
    }
}

/// Relative distance of magnitudes, in decibels.
fn convergence(stft: &Stft, magnitudes: &Tensor, samples: &Tensor) -> f64 {
    let difference = stft.forward(samples).unwrap().abs() - magnitudes;
    20.0 * (difference.norm().double_value(&[]) / magnitudes.norm().double_value(&[])).log10()
}

#[test]
fn griffin_lim_finds_phases_of_a_chord() {
    tch::set_num_threads(1);
    for padding in [Padding::Center, Padding::Same] {
        let stft = Stft::new(1024, 256, padding, Device::Cpu).unwrap();
        let time = Tensor::arange(16_384, (Kind::Float, Device::Cpu)) / 16_000.0;
        let chord: Tensor = [220.0, 277.18, 329.63].iter().map(|hz| (&time * (TAU * hz)).sin()).sum();
        let chord = chord.unsqueeze(0);
        let spectrum = stft.forward(&chord).unwrap();
        let magnitudes = spectrum.abs();
        let random = CounterRng::new(1).uniform(0, &magnitudes.size(), Device::Cpu).unwrap() * TAU;
        let run = |rounds, momentum, phases: &Tensor| {
            let samples = griffin_lim(&stft, &magnitudes, phases, GriffinLim { rounds, momentum }).unwrap();
            convergence(&stft, &magnitudes, &samples)
        };
        let (start, classic, fast) = (run(0, 0.0, &random), run(32, 0.0, &random), run(32, 0.99, &random));
        assert!(classic < start - 5.0, "{padding:?}: {start} dB -> {classic} dB");
        assert!(fast < classic, "{padding:?}: {classic} dB, with momentum {fast} dB");
        // The true phases are a fixed point.
        assert!(run(3, 0.99, &spectrum.angle()) < -90.0);
    }
}

/// What the rounds compute once and piecewise is what the whole transforms give.
#[test]
fn frames_that_stay_take_part_in_the_rounds() {
    for (n_fft, hop, padding) in
        [(64, 16, Padding::Same), (60, 14, Padding::Same), (64, 20, Padding::Center), (16, 16, Padding::Same)]
    {
        let stft = Stft::new(n_fft, hop, padding, Device::Cpu).unwrap();
        let spectrum = |seed, frames| {
            let parts = CounterRng::new(seed).normal(0, &[2, frames, stft.bins(), 2], Device::Cpu).unwrap();
            parts.view_as_complex()
        };
        for held in [0, 1, 3, 9] {
            let (fixed, start) = (spectrum(1, held), spectrum(2, 7));
            let whole = Tensor::cat(&[&fixed, &start], 1).transpose(1, 2);
            let consistent = stft.forward(&stft.inverse(&whole).unwrap()).unwrap().transpose(1, 2);
            let expected = consistent.narrow(1, held, 7).sgn() * start.abs();
            let one = GriffinLim { rounds: 1, momentum: 0.0 };
            let found = refine_phases(&stft, &start.abs(), &start, Some(&fixed), one).unwrap();
            assert_eq!(found.size(), expected.size());
            // Sums in another order; bins of nearly no energy have uncertain phases, but hardly any here.
            let apart = (found - expected).abs().f_gt(1e-3).unwrap().to_kind(Kind::Float);
            assert!(apart.mean(Kind::Float).double_value(&[]) < 0.01, "{n_fft} {hop} {padding:?} {held}");
        }
    }
}

#[test]
fn griffin_lim_refuses_what_does_not_fit() {
    let stft = Stft::new(64, 16, Padding::Same, Device::Cpu).unwrap();
    let zeros = |shape: [i64; 3]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
    let run = |m: [i64; 3], p: [i64; 3], momentum| {
        griffin_lim(&stft, &zeros(m), &zeros(p), GriffinLim { rounds: 2, momentum })
    };
    assert!(matches!(run([1, 32, 5], [1, 32, 5], 0.99), Err(Error::Shape { .. })));
    assert!(matches!(run([1, 33, 5], [1, 33, 1], 0.99), Err(Error::Shape { .. })));
    assert!(matches!(run([1, 33, 5], [1, 33, 5], f64::NAN), Err(Error::Config { .. })));
    let spectrum = |shape: [i64; 3]| Tensor::zeros(shape, (Kind::ComplexFloat, Device::Cpu));
    let (magnitudes, start, rounds) = (zeros([1, 5, 33]), spectrum([1, 5, 33]), GriffinLim::default());
    for (start, fixed) in [([1, 4, 33], [1, 2, 33]), ([1, 5, 33], [1, 2, 32]), ([1, 5, 33], [2, 2, 33])] {
        let found = refine_phases(&stft, &magnitudes, &spectrum(start), Some(&spectrum(fixed)), rounds);
        assert!(matches!(found, Err(Error::Shape { .. })), "{start:?} {fixed:?}");
    }
    assert!(refine_phases(&stft, &magnitudes, &start, Some(&spectrum([1, 0, 33])), rounds).is_ok());
    // Silence stays silence and finite.
    assert_eq!(largest(&run([1, 33, 5], [1, 33, 5], 0.99).unwrap()), 0.0);
}
