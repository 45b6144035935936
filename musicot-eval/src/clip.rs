//! One row of figures per clip, and the share of clips that are like a reference corpus.

use musicot_core::AudioBuffer;
use serde::{Deserialize, Serialize};

use crate::chroma::Chroma;
use crate::onsets::onset_times;
use crate::spectral::SpectralShape;
use crate::statistics::quantile;
use crate::{Result, check, loudness};

/// What a clip sounds like in numbers, without any reference. All are finite; silence has values of its own (see each).
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// use musicot_eval::{clip::ClipStats, core::AudioBuffer};
/// let a4 = (0..24_000).map(|n| 0.5 * (n as f32 * 440.0 / 24_000.0 * std::f32::consts::TAU).sin()).collect();
/// let stats = ClipStats::of(&AudioBuffer::mono(a4, 24_000)?)?;
/// assert!(stats.flatness < 0.01 && stats.chroma_entropy_bits < 0.5 && stats.silence_share == 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipStats {
    /// See [`SpectralShape::flatness`]; silence has 0.
    pub flatness: f64,
    /// See [`SpectralShape::centroid_hz`]; silence has 0.
    pub centroid_hz: f64,
    /// Onsets per second; silence has 0.
    pub onset_rate_hz: f64,
    /// See [`Chroma::entropy_bits`]; silence has 0.
    pub chroma_entropy_bits: f64,
    /// See [`loudness::integrated_lufs`]; silence has -70.
    pub loudness_lufs: f64,
    /// See [`loudness::rms_db`]; silence has -120.
    pub rms_db: f64,
    /// See [`loudness::silence_share`]; silence has 1.
    pub silence_share: f64,
    /// See [`loudness::clipping_share`]; silence has 0.
    pub clipping_share: f64,
}

impl ClipStats {
    /// Measures a clip of any length but 0.
    ///
    /// # Errors
    /// [`crate::Error::TooFew`] for no samples; [`crate::Error::NotFinite`]; [`crate::Error::Range`] for a rate below 8 kHz.
    pub fn of(audio: &AudioBuffer) -> Result<Self> {
        let shape = SpectralShape::of(audio)?;
        Ok(Self {
            flatness: shape.flatness,
            centroid_hz: shape.centroid_hz,
            onset_rate_hz: onset_times(audio)?.len() as f64 / audio.duration_secs(),
            chroma_entropy_bits: Chroma::of(audio)?.entropy_bits(),
            loudness_lufs: loudness::integrated_lufs(audio)?,
            rms_db: loudness::rms_db(audio)?,
            silence_share: loudness::silence_share(audio)?,
            clipping_share: loudness::clipping_share(audio)?,
        })
    }

    /// Names (those of the fields) and values.
    pub fn values(&self) -> [(&'static str, f64); 8] {
        [
            ("flatness", self.flatness),
            ("centroid_hz", self.centroid_hz),
            ("onset_rate_hz", self.onset_rate_hz),
            ("chroma_entropy_bits", self.chroma_entropy_bits),
            ("loudness_lufs", self.loudness_lufs),
            ("rms_db", self.rms_db),
            ("silence_share", self.silence_share),
            ("clipping_share", self.clipping_share),
        ]
    }
}

/// How many clips lie within a reference's range, for one measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Inside {
    /// The field of [`ClipStats`].
    pub measure: &'static str,
    /// Lower end, a percentile of the reference.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Share of clips within `low..=high`, 0..=1.
    pub share: f64,
}

/// For each measure of [`ClipStats`], the share of clips between the 5th and the 95th percentile (both included) of a reference.
/// Of the reference's own clips about 0.9 are.
///
/// # Errors
/// [`crate::Error::TooFew`] for no clip or no reference; [`crate::Error::NotFinite`] for statistics that are not.
pub fn share_inside(clips: &[ClipStats], reference: &[ClipStats]) -> Result<Vec<Inside>> {
    check::at_least("clips", clips.len(), 1)?;
    check::at_least("reference clips", reference.len(), 1)?;
    let column = |clips: &[ClipStats], measure: usize| -> Vec<f64> {
        clips.iter().map(|clip| clip.values()[measure].1).collect()
    };
    let names = reference[0].values().map(|(name, _)| name);
    let inside = |(index, measure): (usize, &'static str)| {
        let (values, reference) = (column(clips, index), column(reference, index));
        check::finite(measure, values.iter().copied())?;
        let (low, high) = (quantile(&reference, 0.05)?, quantile(&reference, 0.95)?);
        let count = values.iter().filter(|value| (low..=high).contains(*value)).count();
        Ok(Inside { measure, low, high, share: count as f64 / values.len() as f64 })
    };
    names.into_iter().enumerate().map(inside).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::loudness::{SILENT_DB, SILENT_LUFS};
    use crate::signals::{buffer, noise, notes};

    fn stats(flatness: f64) -> ClipStats {
        let silence = ClipStats::of(&buffer(vec![0.0; 100], 16_000)).unwrap();
        ClipStats { flatness, ..silence }
    }

    #[test]
    fn silence_has_the_values_it_says() {
        let expected = [0.0, 0.0, 0.0, 0.0, SILENT_LUFS, SILENT_DB, 1.0, 0.0];
        assert_eq!(stats(0.0).values().map(|(_, value)| value), expected);
    }

    #[test]
    fn music_differs_from_noise() {
        let music =
            ClipStats::of(&buffer(notes(&[(0.1, 262.0), (0.6, 330.0)], 1.5, 16_000), 16_000)).unwrap();
        let hiss = ClipStats::of(&buffer(noise(4, 24_000), 16_000)).unwrap();
        assert!(music.flatness < 0.2 * hiss.flatness);
        assert!(music.chroma_entropy_bits < hiss.chroma_entropy_bits);
        assert!((music.onset_rate_hz - 2.0 / 1.5).abs() < 1e-9, "{music:?}");
        assert!(hiss.loudness_lufs > music.loudness_lufs);
    }

    #[test]
    fn ninety_percent_of_the_reference_are_inside() {
        let reference: Vec<_> = (0..=100).map(|i| stats(f64::from(i))).collect();
        let inside = share_inside(&reference, &reference).unwrap();
        assert_eq!((inside[0].measure, inside[0].low, inside[0].high), ("flatness", 5.0, 95.0));
        assert!((inside[0].share - 91.0 / 101.0).abs() < 1e-12);
        assert!(inside[1..].iter().all(|one| one.share == 1.0));
        assert_eq!(share_inside(&[stats(96.0), stats(50.0)], &reference).unwrap()[0].share, 0.5);
        assert!(share_inside(&[], &reference).is_err());
        assert!(share_inside(&reference, &[]).is_err());
        assert!(share_inside(&[stats(f64::NAN)], &reference).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn every_value_is_finite(seed in 0_u64..100, samples in 1_usize..9000, gain in 0.0_f32..100.0) {
            let audio = buffer(noise(seed, samples).iter().map(|s| s * gain).collect(), 22_050);
            let stats = ClipStats::of(&audio).unwrap();
            prop_assert!(stats.values().iter().all(|(_, value)| value.is_finite()));
        }
    }
}
