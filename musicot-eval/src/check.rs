//! Checks of arguments.

use musicot_core::AudioBuffer;

use crate::{Error, Result};

/// Samples beyond this are refused: their powers would leave the range of f32. Full scale is 1.
const MAX_SAMPLE: f32 = 1e6;

/// Below this rate the windows of the measures shrink to a few samples.
const MIN_RATE_HZ: u32 = 8000;

/// The mean of all channels, checked: not empty, finite, of a sane rate.
pub(crate) fn mono(what: &str, audio: &AudioBuffer) -> Result<Vec<f32>> {
    check_audio(what, audio)?;
    Ok(audio.to_mono().into_samples().into_iter().collect())
}

pub(crate) fn check_audio(what: &str, audio: &AudioBuffer) -> Result<()> {
    at_least(&format!("{what}: samples"), audio.frames(), 1)?;
    if audio.sample_rate_hz() < MIN_RATE_HZ {
        let reason =
            format!("expected a sample rate of at least {MIN_RATE_HZ} Hz, got {}", audio.sample_rate_hz());
        return Err(Error::range(what, reason));
    }
    finite(what, audio.samples().iter().map(|sample| f64::from(*sample)))?;
    match audio.samples().iter().find(|sample| sample.abs() > MAX_SAMPLE) {
        None => Ok(()),
        Some(sample) => {
            Err(Error::range(what, format!("expected samples within +-{MAX_SAMPLE}, got {sample}")))
        }
    }
}

pub(crate) fn finite(what: &str, values: impl IntoIterator<Item = f64>) -> Result<()> {
    match values.into_iter().enumerate().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((position, value)) => Err(Error::NotFinite { what: what.to_owned(), position, value }),
    }
}

pub(crate) fn at_least(what: &str, actual: usize, needed: usize) -> Result<()> {
    if actual >= needed { Ok(()) } else { Err(Error::TooFew { what: what.to_owned(), needed, actual }) }
}

pub(crate) fn same_len(what: &str, actual: usize, expected: usize) -> Result<()> {
    if actual == expected {
        return Ok(());
    }
    Err(Error::LengthMismatch { what: what.to_owned(), expected, actual })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(samples: Vec<f32>, rate: u32) -> AudioBuffer {
        AudioBuffer::mono(samples, rate).unwrap()
    }

    #[test]
    fn unusable_audio_is_named() {
        assert!(matches!(mono("clip", &audio(vec![], 48_000)), Err(Error::TooFew { needed: 1, .. })));
        assert!(matches!(mono("clip", &audio(vec![0.0; 9], 4000)), Err(Error::Range { .. })));
        assert!(matches!(mono("clip", &audio(vec![0.0, 1e30], 48_000)), Err(Error::Range { .. })));
        let error = mono("clip", &audio(vec![0.0, f32::NAN], 48_000)).unwrap_err();
        assert!(matches!(error, Error::NotFinite { position: 1, .. }));
        assert!(error.to_string().starts_with("clip: expected finite values"), "{error}");
    }
}
