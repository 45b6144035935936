//! The contract of this stage.

use musicot_core::tch::Tensor;
use musicot_core::{AudioBuffer, Error, Result};

use crate::windows;

/// Windows embedded at once by [`AudioTextEncoder::embed_windows`]: bounds its memory.
const WINDOWS_AT_ONCE: usize = 8;

/// Embeds audio and text in one space, where the cosine says how well they match.
///
/// Implementers provide everything but [`embed_windows`](Self::embed_windows) and, where the rule is the usual one, [`fill`](Self::fill). Embeddings have length 1, are f32, need no gradients, lie on
/// the model's device, and depend on nothing but their own item (to rounding, on no other item of the batch). An error leaves the encoder usable.
pub trait AudioTextEncoder: Send {
    /// Width of the space.
    fn dim(&self) -> usize;

    /// Samples per second of the audio it takes.
    fn sample_rate_hz(&self) -> u32;

    /// Samples it sees at once.
    fn window_samples(&self) -> usize;

    /// Mono samples `[batch, samples]` (f32) to unit vectors `[batch, dim]`. At most a window; less is filled as by
    /// [`fill`](Self::fill).
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of axes; [`Error::Input`] for no samples, too many, NaN or infinity.
    fn embed_audio(&self, samples: &Tensor) -> Result<Tensor>;

    /// Fills a clip up to a window; by [`windows::repeat_pad`] unless the model was trained otherwise.
    fn fill(&self, clip: &[f32]) -> Vec<f32> {
        windows::repeat_pad(clip, self.window_samples())
    }

    /// Texts to unit vectors `[texts, dim]`. What is too long is cut, never refused; an empty text is allowed.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no text at all.
    fn embed_text(&self, texts: &[&str]) -> Result<Tensor>;

    /// A recording of any length (channels are averaged) to unit vectors `[windows, dim]`, a window every `hop_samples`;
    /// [`windows::starts`] says which windows there are. Memory does not grow with the recording beyond the result.
    ///
    /// # Errors
    /// [`Error::Input`] for another sample rate, no samples, NaN or infinity, or a hop of 0.
    fn embed_windows(&self, audio: &AudioBuffer, hop_samples: usize) -> Result<Tensor> {
        if audio.sample_rate_hz() != self.sample_rate_hz() {
            let reason = format!(
                "expected {} Hz, got {} Hz: resample it first",
                self.sample_rate_hz(),
                audio.sample_rate_hz()
            );
            return Err(Error::input("audio", reason));
        }
        audio.expect_finite()?;
        let window = self.window_samples();
        let starts: Vec<usize> = windows::starts(audio.frames(), window, hop_samples)?.collect();
        let mut embedded = Vec::new();
        for group in starts.chunks(WINDOWS_AT_ONCE) {
            let clips: Vec<f32> =
                group.iter().flat_map(|start| self.fill(&clip(audio, *start, window))).collect();
            let samples = Tensor::f_from_slice(&clips)?.f_reshape([group.len() as i64, window as i64])?;
            embedded.push(self.embed_audio(&samples)?);
        }
        Ok(Tensor::f_cat(&embedded, 0)?)
    }
}

/// The window at `start`, or what the recording has of it, channels averaged.
fn clip(audio: &AudioBuffer, start: usize, window: usize) -> Vec<f32> {
    let end = audio.frames().min(start + window);
    let part = audio.samples().slice(ndarray::s![.., start..end]);
    if audio.channels() == 1 {
        return part.iter().copied().collect();
    }
    (part.sum_axis(ndarray::Axis(0)) / audio.channels() as f32).to_vec()
}
