//! Growing planar sample storage, the form in which blocks are cut and joined.

use musicot_core::AudioBuffer;
use ndarray::Array2;

use crate::Result;

/// Samples per channel; all channels have the same length, and there is at least one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Planar {
    channels: Vec<Vec<f32>>,
}

impl Planar {
    pub(crate) fn new(channels: usize) -> Self {
        Self { channels: vec![Vec::new(); channels] }
    }

    pub(crate) fn silence(channels: usize, frames: usize) -> Self {
        Self { channels: vec![vec![0.0; frames]; channels] }
    }

    pub(crate) fn from_buffer(audio: &AudioBuffer) -> Self {
        // Row by row: a buffer may hold its samples in any memory order.
        Self { channels: audio.samples().rows().into_iter().map(|row| row.to_vec()).collect() }
    }

    pub(crate) fn into_buffer(self, sample_rate_hz: u32) -> Result<AudioBuffer> {
        let shape = (self.count(), self.frames());
        let samples = self.channels.into_iter().flatten().collect();
        let samples = Array2::from_shape_vec(shape, samples)
            .map_err(|e| musicot_core::Error::input("audio", e.to_string()))?;
        Ok(AudioBuffer::new(samples, sample_rate_hz)?)
    }

    /// Number of channels.
    pub(crate) fn count(&self) -> usize {
        self.channels.len()
    }

    pub(crate) fn frames(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    pub(crate) fn channels(&self) -> &[Vec<f32>] {
        &self.channels
    }

    pub(crate) fn channels_mut(&mut self) -> &mut Vec<Vec<f32>> {
        &mut self.channels
    }

    /// Appends a part with as many channels as this one.
    pub(crate) fn append(&mut self, part: &Self) {
        for (channel, more) in self.channels.iter_mut().zip(&part.channels) {
            channel.extend_from_slice(more);
        }
    }

    pub(crate) fn truncate(&mut self, frames: usize) {
        for channel in &mut self.channels {
            channel.truncate(frames);
        }
    }

    /// Takes the first `frames` away and returns them; all of them where there are fewer.
    pub(crate) fn split_front(&mut self, frames: usize) -> Self {
        let frames = frames.min(self.frames());
        Self { channels: self.channels.iter_mut().map(|channel| channel.drain(..frames).collect()).collect() }
    }

    /// Drops the first `frames`; all of them where there are fewer.
    pub(crate) fn drop_front(&mut self, frames: usize) {
        for channel in &mut self.channels {
            channel.drain(..frames.min(channel.len()));
        }
    }
}
