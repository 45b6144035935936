//! Samples for magnitudes, block by block: phases that propagate along spectral peaks, then rounds of fast Griffin-Lim in which what is
//! already fixed stays fixed. The samples are the overlap-add of the fixed frames, so that blocks join without a seam.
//!
//! Sources: Beauregard, Harish and Wyse, "Single pass spectrogram inversion" (2015) for the start; Perraudin, Balazs and Søndergaard,
//! "A fast Griffin-Lim algorithm" (2013) for the rounds.

mod peaks;
mod song;

use tch::Tensor;

use self::song::Song;
use super::griffin_lim::{GriffinLim, Rounds};
use super::{Padding, Stft};
use crate::tensor::{append, to_vec};
use crate::{Error, Result, shape};

/// Fewest and most frames whose phases are fixed at a time: more of them spare work at their ends and take more memory than the nearest caches have.
const BLOCK: (usize, usize) = (50, 100);
/// Frames beyond a block that take part in its rounds, so that its end fits what follows.
const AHEAD: usize = 8;

/// Magnitudes in, samples out, as soon as they are final: the same samples however the magnitudes are cut. The work is done on the host, whatever the
/// device, by as many threads as libtorch has there; what comes out does not depend on how many.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::{dsp::{GriffinLim, Padding, PhaseStream, Stft}, tch::{Device, Kind, Tensor}};
/// let stft = Stft::new(1024, 256, Padding::Same, Device::Cpu)?;
/// let samples = Tensor::arange(65_536, (Kind::Float, Device::Cpu)).multiply_scalar(0.1).sin().unsqueeze(0);
/// let magnitudes = stft.forward(&samples)?.abs().transpose(1, 2);
/// let mut stream = PhaseStream::new(&stft, GriffinLim { rounds: 16, ..GriffinLim::default() }, 1)?;
/// let mut song = vec![];
/// for block in magnitudes.split(100, 1) {
///     song.push(stream.push(&block)?);
/// }
/// song.push(stream.finish()?);
/// assert_eq!(Tensor::cat(&song, 1).size(), samples.size());
/// # Ok(())
/// # }
/// ```
pub struct PhaseStream {
    stft: Stft,
    rounds: Rounds,
    songs: Vec<Song>,
    /// Frames fixed so far.
    position: usize,
    /// Weights of the sums of samples in the rounds, for the last count of frames before and frames.
    gain: ((usize, usize), Vec<f32>),
}

impl PhaseStream {
    /// For `batch` songs at once, whose magnitudes belong to this transform.
    ///
    /// # Errors
    /// [`Error::Config`] for a transform with [`Padding::Center`], or a momentum that is negative or not finite.
    pub fn new(stft: &Stft, config: GriffinLim, batch: usize) -> Result<Self> {
        if stft.padding() != Padding::Same {
            return Err(Error::config("padding", "expected frames in the middle of their hops (same)"));
        }
        let rounds = Rounds::new(stft, config)?;
        let songs = (0..batch).map(|_| Song::new(&rounds)).collect();
        Ok(Self { stft: stft.shared(), rounds, songs, position: 0, gain: ((0, 0), Vec::new()) })
    }

    /// Takes magnitudes `[batch, any, bins]`, returns the samples `[batch, any]` that are final, on the transform's device.
    ///
    /// # Errors
    /// [`Error::Shape`] for another batch or transform.
    pub fn push(&mut self, magnitudes: &Tensor) -> Result<Tensor> {
        let expected = [self.songs.len() as i64, shape::ANY, self.stft.bins()];
        shape::expect("magnitudes", magnitudes, &expected)?;
        for (index, song) in self.songs.iter_mut().enumerate() {
            append(&magnitudes.f_get(index as i64)?, &mut song.pending)?;
        }
        while self.pending() >= self.block() + AHEAD {
            self.fix(self.block(), AHEAD)?;
        }
        self.take(false)
    }

    /// Returns the rest `[batch, any]` and is ready for other songs.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn finish(&mut self) -> Result<Tensor> {
        while self.pending() > 0 {
            let count = self.pending().min(self.block());
            self.fix(count, (self.pending() - count).min(AHEAD))?;
        }
        let rest = self.take(true)?;
        self.songs.fill_with(|| Song::new(&self.rounds));
        self.position = 0;
        Ok(rest)
    }

    /// Frames of the next block: as many as came before, so that a stream begins soon. The partition depends on nothing but the position.
    fn block(&self) -> usize {
        self.position.clamp(BLOCK.0, BLOCK.1)
    }

    /// Frames whose phases are not fixed.
    fn pending(&self) -> usize {
        self.songs.first().map_or(0, |song| song.pending.len() / self.rounds.bins())
    }

    /// Fixes the phases of `count` frames with the help of `ahead` more.
    fn fix(&mut self, count: usize, ahead: usize) -> Result<()> {
        // Frames before that overlap these.
        let held = self.position.min((self.rounds.n_fft() - 1) / self.rounds.hop());
        let frames = count + ahead;
        if self.gain.0 != (held, frames) {
            let gain = to_vec(&self.stft.gain((held + frames) as i64)?)?;
            self.gain = ((held, frames), gain[held * self.rounds.hop()..].to_vec());
        }
        for song in &mut self.songs {
            song.fix(&self.rounds, &self.gain.1, count, frames)?;
        }
        self.position += count;
        Ok(())
    }

    /// What is final and was not taken yet.
    fn take(&mut self, all: bool) -> Result<Tensor> {
        let samples: Vec<f32> = self.songs.iter_mut().flat_map(|song| song.take(&self.rounds, all)).collect();
        let batch = self.songs.len() as i64;
        let each = samples.len() as i64 / batch.max(1);
        let samples = Tensor::f_from_slice(&samples)?.f_reshape([batch, each])?;
        Ok(samples.f_to_device(self.stft.window().device())?)
    }
}
