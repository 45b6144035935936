//! The contract of an audio codec.

use musicot_core::tch::Tensor;

use crate::Result;

/// Waveform to latents and back.
///
/// # For implementers
/// `decode` of a whole song and a [`DecodeSession`] fed in any pieces must give the same samples; the easy way is to let `decode` be
/// a session that is fed once. Everything must be a pure function of the input and the weights.
pub trait AudioCodec: Send {
    /// Samples per second and channel.
    fn sample_rate_hz(&self) -> u32;

    /// Channels of the waveform.
    fn channels(&self) -> i64;

    /// Samples per latent frame.
    fn hop_frames(&self) -> i64;

    /// Values per latent frame.
    fn latent_dim(&self) -> i64;

    /// Latent frames per second.
    fn frame_rate_hz(&self) -> f64 {
        f64::from(self.sample_rate_hz()) / self.hop_frames() as f64
    }

    /// Waveform `[batch, channels, samples]` to latents `[batch, latent_dim, frames]`; the end is padded with silence to a whole frame.
    ///
    /// # Errors
    /// Another shape, or samples that are not finite.
    fn encode(&self, waveform: &Tensor) -> Result<Tensor>;

    /// Latents `[batch, latent_dim, frames]` to a waveform `[batch, channels, frames * hop]`.
    ///
    /// # Errors
    /// Another shape, or values that are not finite.
    fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let mut session = self.decode_session(latents.size().first().copied().unwrap_or(1))?;
        let head = session.push(latents)?;
        Ok(Tensor::f_cat(&[head, session.finish()?], -1)?)
    }

    /// Starts decoding `batch` songs piece by piece.
    ///
    /// # Errors
    /// `batch` is not positive.
    fn decode_session(&self, batch: i64) -> Result<Box<dyn DecodeSession + '_>>;
}

/// Decoding piece by piece, in memory that does not grow with the song.
pub trait DecodeSession {
    /// Takes latents `[batch, latent_dim, any]` and returns the samples that are final `[batch, channels, any]`.
    ///
    /// # Errors
    /// Another shape, or values that are not finite; the session is then as it was.
    fn push(&mut self, latents: &Tensor) -> Result<Tensor>;

    /// Returns the rest `[batch, channels, any]` and is ready for the next song.
    ///
    /// # Errors
    /// libtorch could not allocate.
    fn finish(&mut self) -> Result<Tensor>;
}
