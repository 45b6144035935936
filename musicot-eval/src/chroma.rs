//! Chroma: which pitch classes sound when, and how alike two recordings are in it.
//!
//! A chroma vector folds the spectrum of a frame onto the 12 pitch classes (Fujishima, "Realtime chord recognition of musical
//! sound", ICMC 1999). Here: a Hann window of 8192 samples at 48 kHz (171 ms at any rate) every 40 ms; each bin between
//! 55 and 4200 Hz gives its power to the nearest pitch class of equal temperament at A4 = 440 Hz; the value is the root of the
//! sum, so that a quiet note counts by its amplitude. These sizes are our choice. Bins are 5.9 Hz apart, wider than a semitone
//! below 100 Hz: the lowest octave is folded coarsely.

use musicot_core::{AudioBuffer, CounterRng};
use ndarray::{Array2, ArrayView1};
use serde::Serialize;

use crate::analysis::Analysis;
use crate::{Error, Result, check};

/// Number of pitch classes; class 0 is C, class 9 is A.
pub const PITCH_CLASSES: usize = 12;

const WINDOW_SECS: f64 = 8192.0 / 48_000.0;
const HOP_SECS: f64 = 0.04;
const MIN_HZ: f64 = 55.0;
const MAX_HZ: f64 = 4200.0;

/// A frame is active above this share of the loudest frame's energy (-40 dB).
const ACTIVE_SHARE: f64 = 1e-4;

/// No frame is active at or below this energy (-120 dB of a full-scale sine).
const SILENCE: f64 = 1e-12;

/// Recordings whose lengths differ by more cannot be compared frame by frame.
const MAX_DIFFERENCE_SECS: f64 = 0.5;

/// Permutations over which the shuffled chance is averaged.
const SHUFFLES: u64 = 8;

/// The chroma of a recording, 25 frames per second.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{chroma::Chroma, core::AudioBuffer};
/// let a4 = (0..24_000).map(|n| (n as f32 * 440.0 / 24_000.0 * std::f32::consts::TAU).sin()).collect();
/// let chroma = Chroma::of(&AudioBuffer::mono(a4, 24_000)?)?;
/// let frame = chroma.values().row(10);
/// assert!((0..12).all(|class| class == 9 || frame[class] < frame[9]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chroma {
    values: Array2<f64>,
    active: Vec<bool>,
    frame_rate_hz: f64,
}

impl Chroma {
    /// Analyses the mean of all channels.
    ///
    /// # Errors
    /// [`Error::TooFew`] for no samples; [`Error::NotFinite`]; [`Error::Range`] for a rate below 8 kHz.
    pub fn of(audio: &AudioBuffer) -> Result<Self> {
        let samples = check::mono("audio", audio)?;
        let analysis = Analysis::new(audio.sample_rate_hz(), WINDOW_SECS, HOP_SECS)?;
        let frame_rate_hz = analysis.frame_rate_hz();
        let bank = folding(&analysis);
        let energy = analysis.with_bank(&bank)?.all(&samples)?.mapv(f64::from);
        let totals: Vec<f64> = energy.rows().into_iter().map(|row| row.sum()).collect();
        let loudest = totals.iter().copied().fold(0.0, f64::max);
        let active = totals.iter().map(|total| *total > (loudest * ACTIVE_SHARE).max(SILENCE)).collect();
        Ok(Self { values: energy.mapv(f64::sqrt), active, frame_rate_hz })
    }

    /// Values `[frames, 12]`, at least 0.
    pub fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// Per frame, whether it is within 40 dB of the loudest (and above -120 dB of full scale).
    pub fn active(&self) -> &[bool] {
        &self.active
    }

    /// Frames per second: 25, but for the rounding of 40 ms to samples.
    pub fn frame_rate_hz(&self) -> f64 {
        self.frame_rate_hz
    }

    /// Mean over the active frames of the entropy of the energy among the pitch classes, in bits: 0 (a pure tone, or silence
    /// throughout) to log2(12) = 3.585 (noise).
    pub fn entropy_bits(&self) -> f64 {
        mean(self.active_rows().map(entropy_bits))
    }

    fn active_rows(&self) -> impl Iterator<Item = ArrayView1<'_, f64>> {
        self.values.rows().into_iter().zip(&self.active).filter(|(_, active)| **active).map(|(row, _)| row)
    }

    /// Active frames at unit length `[frames, 12]`; an error when there is none.
    fn active_units(&self, what: &str) -> Result<Vec<[f64; PITCH_CLASSES]>> {
        let units: Vec<_> = self.active_rows().map(unit).collect();
        if units.is_empty() { Err(Error::Silent { what: what.to_owned() }) } else { Ok(units) }
    }
}

/// Weights `[12, bins]` that give each bin to its nearest pitch class.
fn folding(analysis: &Analysis) -> Array2<f32> {
    Array2::from_shape_fn((PITCH_CLASSES, analysis.bins()), |(class, bin)| {
        let hz = bin as f64 * analysis.bin_hz();
        let is_inside = hz > MIN_HZ && hz < MAX_HZ;
        f32::from(u8::from(is_inside && pitch_class(hz) == class))
    })
}

/// The pitch class of a positive frequency; A is 9 semitones above C.
fn pitch_class(hz: f64) -> usize {
    let semitones_above_a = (12.0 * (hz / 440.0).log2()).round();
    (semitones_above_a + 9.0).rem_euclid(12.0) as usize
}

fn entropy_bits(row: ArrayView1<'_, f64>) -> f64 {
    let total: f64 = row.iter().map(|value| value * value).sum();
    let shares = row.iter().map(|value| value * value / total).filter(|share| *share > 0.0);
    shares.map(|share| -share * share.log2()).sum()
}

fn unit(row: ArrayView1<'_, f64>) -> [f64; PITCH_CLASSES] {
    let norm = row.dot(&row).sqrt();
    std::array::from_fn(|class| if norm > 0.0 { row[class] / norm } else { 0.0 })
}

fn dot(a: &[f64; PITCH_CLASSES], b: &[f64; PITCH_CLASSES]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// Mean cosine of the frames of two recordings, over the frames that are active in the reference: 0..=1, and 1 for the same
/// recording at any gain. A frame that the estimate leaves empty counts 0. Up to half a second that only one of
/// the two has at its end is left out.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{chroma::{Chroma, similarity}, core::AudioBuffer};
/// let tone = |hz: f32| (0..24_000).map(|n| (n as f32 * hz / 24_000.0 * std::f32::consts::TAU).sin()).collect();
/// let a = Chroma::of(&AudioBuffer::mono(tone(440.0), 24_000)?)?;
/// let octave_above = Chroma::of(&AudioBuffer::mono(tone(880.0), 24_000)?)?;
/// let tritone_above = Chroma::of(&AudioBuffer::mono(tone(622.25), 24_000)?)?;
/// assert!(similarity(&a, &octave_above)? > 0.98);
/// assert!(similarity(&a, &tritone_above)? < 0.1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::LengthMismatch`] in frames, for lengths more than 0.5 s apart; [`Error::Silent`] for a reference without an
/// active frame; [`Error::Range`] for frame rates that differ.
pub fn similarity(reference: &Chroma, estimate: &Chroma) -> Result<f64> {
    // The rounding of 40 ms to samples moves the rate by at most 1 / 320.
    if (reference.frame_rate_hz - estimate.frame_rate_hz).abs() > 1e-9 {
        let (a, b) = (reference.frame_rate_hz, estimate.frame_rate_hz);
        return Err(Error::range("chroma", format!("expected equal frame rates, got {a} and {b} Hz")));
    }
    let (expected, actual) = (reference.values.nrows(), estimate.values.nrows());
    if expected.abs_diff(actual) as f64 > MAX_DIFFERENCE_SECS * reference.frame_rate_hz {
        return Err(Error::LengthMismatch { what: "frames of the estimate".to_owned(), expected, actual });
    }
    let pairs = reference.values.rows().into_iter().zip(estimate.values.rows());
    let cosines: Vec<f64> = pairs
        .zip(&reference.active)
        .filter(|(_, active)| **active)
        .map(|((a, b), _)| dot(&unit(a), &unit(b)).clamp(0.0, 1.0))
        .collect();
    if cosines.is_empty() {
        return Err(Error::Silent { what: "reference".to_owned() });
    }
    Ok(mean(cosines.into_iter()))
}

/// What [`similarity`] gives to estimates that know nothing of the melody; print it beside every similarity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Chance {
    /// The reference's own active frames in random order: the right key and notes at the wrong times.
    pub shuffled: f64,
    /// The best single chroma vector for all frames. The mean cosine with a unit vector is greatest for the direction of the
    /// mean of the frames at unit length, and is then the length of this mean.
    pub constant: f64,
}

/// The levels of chance for a reference; the shuffled one is a mean over 8 permutations.
///
/// # Errors
/// [`Error::Silent`] for a reference without an active frame.
pub fn chance(reference: &Chroma, rng: CounterRng) -> Result<Chance> {
    let units = reference.active_units("reference")?;
    let rng = rng.stage("chroma chance");
    let shuffled = mean((0..SHUFFLES).map(|round| {
        let order = rng.permutation(round, units.len());
        mean(units.iter().zip(order).map(|(unit, other)| dot(unit, &units[other])))
    }));
    let mut center = [0.0; PITCH_CLASSES];
    for unit in &units {
        center.iter_mut().zip(unit).for_each(|(sum, value)| *sum += value / units.len() as f64);
    }
    Ok(Chance { shuffled: shuffled.clamp(0.0, 1.0), constant: dot(&center, &center).sqrt().clamp(0.0, 1.0) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signals::{buffer, noise, notes, sine};

    fn chroma(samples: Vec<f32>) -> Chroma {
        Chroma::of(&buffer(samples, 16_000)).unwrap()
    }

    #[test]
    fn pitches_fall_into_their_classes() {
        for (hz, class) in [(440.0, 9), (261.63, 0), (523.25, 0), (110.0, 9), (493.88, 11), (3951.0, 11)] {
            let chroma = chroma(sine(hz, 0.5, 1.0, 16_000));
            let row = chroma.values().row(12);
            let best = (0..12).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            assert_eq!(best, class, "{hz} Hz: {row}");
        }
        // Outside 55..4200 Hz there is nothing to fold but the window's leakage.
        assert!(chroma(sine(6000.0, 0.5, 1.0, 16_000)).values().row(12).sum() < 1e-3);
    }

    #[test]
    fn the_same_recording_is_1_at_any_gain_and_rate_of_frames() {
        let samples = notes(&[(0.1, 262.0), (0.6, 330.0), (1.1, 392.0)], 2.0, 16_000);
        let quiet: Vec<f32> = samples.iter().map(|s| s * 0.01).collect();
        let (a, b) = (chroma(samples.clone()), chroma(quiet));
        assert!((similarity(&a, &a).unwrap() - 1.0).abs() < 1e-12);
        // f32 rounding of the quieter samples.
        assert!((similarity(&a, &b).unwrap() - 1.0).abs() < 1e-5);
        assert!((a.frame_rate_hz() - 25.0).abs() < 1e-12);
        let cut = chroma(samples[..samples.len() - 4000].to_vec());
        assert!(similarity(&a, &cut).unwrap() > 0.98);
    }

    #[test]
    fn silence_and_other_lengths_are_errors() {
        let (tone, silence) = (chroma(sine(440.0, 0.5, 2.0, 16_000)), chroma(vec![0.0; 32_000]));
        assert!(matches!(similarity(&silence, &tone), Err(Error::Silent { .. })));
        assert!(matches!(chance(&silence, CounterRng::new(0)), Err(Error::Silent { .. })));
        assert_eq!(similarity(&tone, &silence).unwrap(), 0.0);
        assert_eq!(silence.entropy_bits(), 0.0);
        let short = chroma(sine(440.0, 0.5, 1.0, 16_000));
        assert!(matches!(similarity(&tone, &short), Err(Error::LengthMismatch { .. })));
    }

    #[test]
    fn quiet_frames_do_not_count() {
        let mut samples = sine(440.0, 0.5, 2.0, 16_000);
        samples[16_000..].iter_mut().for_each(|sample| *sample *= 1e-3);
        let active = chroma(samples).active().iter().filter(|active| **active).count();
        // 25 frames of the loud second and the two whose windows reach into it.
        assert!((25..=29).contains(&active), "{active}");
    }

    #[test]
    fn chance_of_two_alternating_tones() {
        // Tritones hardly overlap: half of the shuffled frames match, and the best constant lies between (cosine root of 1/2).
        let mut samples = sine(440.0, 0.5, 10.0, 16_000);
        samples.extend(sine(622.25, 0.5, 10.0, 16_000));
        let chance = chance(&chroma(samples), CounterRng::new(1)).unwrap();
        assert!((chance.shuffled - 0.5).abs() < 0.05, "{chance:?}");
        assert!((chance.constant - 0.5_f64.sqrt()).abs() < 0.02, "{chance:?}");
    }

    #[test]
    fn entropy_tells_tones_from_noise() {
        let (tone, hiss) = (chroma(sine(440.0, 0.5, 2.0, 16_000)), chroma(noise(1, 32_000)));
        assert!(tone.entropy_bits() < 0.1, "{}", tone.entropy_bits());
        assert!(hiss.entropy_bits() > 3.2, "{}", hiss.entropy_bits());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn all_values_are_within_their_ranges(seed in 0_u64..1000, gain in 0.0_f32..2.0, other in 0.0_f32..2.0) {
            let scaled = |seed, gain: f32| chroma(noise(seed, 9000).iter().map(|s| s * gain).collect());
            let (a, b) = (scaled(seed, gain), scaled(seed + 1, other));
            prop_assert!((0.0..=12_f64.log2()).contains(&a.entropy_bits()));
            if a.active().contains(&true) {
                prop_assert!((0.0..=1.0).contains(&similarity(&a, &b).unwrap()));
                let chance = chance(&a, CounterRng::new(seed)).unwrap();
                prop_assert!((0.0..=1.0).contains(&chance.shuffled) && (0.0..=1.0).contains(&chance.constant));
                // Jensen: the best constant cannot lose to frames drawn from the same distribution, but for the finite draw.
                prop_assert!(chance.constant + 0.05 >= chance.shuffled);
            }
        }
    }
}
