//! Latents to samples that keep below full scale, piece by piece.

use musicot_codec::{AudioCodec, DecodeSession};
use musicot_core::tch::Tensor;
use musicot_core::{AudioBuffer, Limiter, tensor};
use ndarray::{Array2, Axis};

use crate::{Error, Result};

/// No sample of a song is beyond this (-1 dB): phases are rebuilt on decoding, and guidance makes some songs louder than what the codec
/// learned from, so that a file would cut peaks off.
const CEILING: f32 = 0.891;

/// Latent frames that are decoded at once.
const PIECE: i64 = 50;

/// Decodes a song.
pub(super) struct Waveform<'a> {
    session: Box<dyn DecodeSession + 'a>,
    limiter: Limiter,
    channels: usize,
    sample_rate_hz: u32,
}

impl<'a> Waveform<'a> {
    pub fn new(codec: &'a dyn AudioCodec) -> Result<Self> {
        let (channels, sample_rate_hz) = (codec.channels() as usize, codec.sample_rate_hz());
        let limiter = Limiter::new(CEILING, sample_rate_hz)?;
        Ok(Self { session: codec.decode_session(1)?, limiter, channels, sample_rate_hz })
    }

    /// Takes latents `[1, latent_dim, frames]` and returns the samples that are settled, in pieces `[channels, any]`. After every piece
    /// `on_frames` hears how many of the frames are decoded.
    pub fn push(
        &mut self,
        latents: &Tensor,
        mut on_frames: impl FnMut(usize) -> Result<()>,
    ) -> Result<Vec<Array2<f32>>> {
        let frames = latents.size3()?.2;
        let mut pieces = Vec::new();
        for start in (0..frames).step_by(PIECE as usize) {
            let end = (start + PIECE).min(frames);
            let samples = self.session.push(&latents.f_narrow(2, start, end - start)?)?;
            pieces.push(self.limited(&samples)?);
            on_frames(end as usize)?;
        }
        Ok(pieces)
    }

    /// The rest of the samples, in pieces `[channels, any]`.
    pub fn finish(&mut self) -> Result<[Array2<f32>; 2]> {
        let samples = self.session.finish()?;
        Ok([self.limited(&samples)?, self.limiter.finish()])
    }

    /// Pieces of samples, one after another, as audio.
    pub fn joined(&self, pieces: &[Array2<f32>]) -> Result<AudioBuffer> {
        let views: Vec<_> = pieces.iter().map(|piece| piece.view()).collect();
        let samples = match views.is_empty() {
            true => Array2::zeros((self.channels, 0)),
            false => ndarray::concatenate(Axis(1), &views)
                .map_err(|e| Error::input("codec output", e.to_string()))?,
        };
        Ok(AudioBuffer::new(samples, self.sample_rate_hz)?)
    }

    /// Samples `[1, channels, any]` as the limiter gives them back.
    fn limited(&mut self, samples: &Tensor) -> Result<Array2<f32>> {
        let samples: Array2<f32> = tensor::to_array(&samples.f_squeeze_dim(0)?)?
            .into_dimensionality()
            .map_err(|e| Error::input("codec output", e.to_string()))?;
        Ok(self.limiter.push(samples.view())?)
    }

    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// The gain of the limiter so far, dB.
    pub fn gain_db(&self) -> f64 {
        self.limiter.gain_db()
    }
}
