//! Signals that the tests measure.

use musicot_core::{AudioBuffer, CounterRng};

pub(crate) fn sine(hz: f64, amplitude: f64, secs: f64, rate: u32) -> Vec<f32> {
    let step = std::f64::consts::TAU * hz / f64::from(rate);
    (0..(secs * f64::from(rate)) as usize).map(|n| (amplitude * (step * n as f64).sin()) as f32).collect()
}

/// Uniform white noise within +-0.5.
pub(crate) fn noise(seed: u64, samples: usize) -> Vec<f32> {
    let mut draws = CounterRng::new(seed).at(0);
    (0..samples).map(|_| draws.uniform() - 0.5).collect()
}

/// Decaying tones with three partials, one per (start in seconds, pitch in hertz).
pub(crate) fn notes(starts: &[(f64, f64)], secs: f64, rate: u32) -> Vec<f32> {
    let mut samples = vec![0_f32; (secs * f64::from(rate)) as usize];
    for (start, hz) in starts {
        let first = (start * f64::from(rate)) as usize;
        for (n, sample) in samples.iter_mut().skip(first).enumerate() {
            let time = n as f64 / f64::from(rate);
            let tone: f64 = (1..=3)
                .map(|k| (std::f64::consts::TAU * hz * f64::from(k) * time).sin() / f64::from(k))
                .sum();
            *sample += (0.2 * tone * (-6.0 * time).exp()) as f32;
        }
    }
    samples
}

pub(crate) fn buffer(samples: Vec<f32>, rate: u32) -> AudioBuffer {
    // The tests run side by side already.
    musicot_core::tch::set_num_threads(1);
    AudioBuffer::mono(samples, rate).unwrap()
}
