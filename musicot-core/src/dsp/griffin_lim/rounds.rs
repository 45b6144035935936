//! The rounds of one song on the host, by slices: a frame's transforms and all that follows them stay in the nearest cache.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, PoisonError, RwLock};
use std::thread::Builder;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, FftError, RealFftPlanner, RealToComplex};

use super::GriffinLim;
use crate::dsp::Stft;
use crate::tensor::to_vec;
use crate::{Error, Result};

/// Fewest frames of a thread: its neighbours' samples have to be added up once more.
const FEWEST: usize = 8;

/// Samples under the window of some neighbouring frames, one frame after another.
type Pieces = RwLock<Vec<f32>>;

/// What the rounds of a song need to know of its transform.
pub(in crate::dsp) struct Rounds {
    n_fft: usize,
    hop: usize,
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    config: GriffinLim,
}

/// The frames of a song that are looked for, and the samples that they share with others.
pub(in crate::dsp) struct Frames<'a> {
    /// `frames * bins`.
    pub magnitudes: &'a [f32],
    /// Spectra with these magnitudes, `frames * bins`; what was found when the rounds are over.
    pub estimate: &'a mut [Complex32],
    /// What earlier frames add to the first samples; not weighted yet.
    pub before: &'a [f32],
    /// Weights of the samples' sums, as long as all frames reach.
    pub gain: &'a [f32],
}

/// The frames of one thread.
struct Part<'a> {
    index: usize,
    magnitudes: &'a [f32],
    estimate: &'a mut [Complex32],
}

impl Rounds {
    /// # Errors
    /// A configuration out of range.
    pub fn new(stft: &Stft, config: GriffinLim) -> Result<Self> {
        config.validate()?;
        let (n_fft, hop, window) = (stft.n_fft() as usize, stft.hop() as usize, to_vec(stft.window())?);
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(n_fft), planner.plan_fft_inverse(n_fft));
        Ok(Self { n_fft, hop, window, forward, inverse, config })
    }

    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    pub fn n_fft(&self) -> usize {
        self.n_fft
    }

    pub fn hop(&self) -> usize {
        self.hop
    }

    /// What `spectra` (`frames * bins`), which come before a song's first frame, add to its samples.
    pub fn before(&self, spectra: &[Complex32]) -> Result<Vec<f32>> {
        let frames = (spectra.len() / self.bins()).min((self.n_fft - 1) / self.hop);
        let spectra = &spectra[spectra.len() - frames * self.bins()..];
        let mut sum = vec![0.0; frames * self.hop + self.n_fft - self.hop];
        self.overlap_add(spectra, &mut sum)?;
        Ok(sum.split_off(frames * self.hop))
    }

    /// Adds the samples of frames under their windows where they stand, the first at the start of `sum`.
    pub fn overlap_add(&self, spectra: &[Complex32], sum: &mut [f32]) -> Result<()> {
        let (mut scratch, mut piece) = (self.inverse.make_scratch_vec(), vec![0.0; self.n_fft]);
        for (frame, spectrum) in spectra.chunks_exact(self.bins()).enumerate() {
            self.samples(&mut spectrum.to_vec(), &mut piece, &mut scratch)?;
            add(sum.get_mut(frame * self.hop..).unwrap_or_default(), &piece);
        }
        Ok(())
    }

    /// Adds the squared window at the start of a sum.
    pub fn add_window(&self, sum: &mut [f32]) {
        for (sum, window) in sum.iter_mut().zip(&self.window) {
            *sum += window * window;
        }
    }

    /// Runs the rounds with as many threads as libtorch has; the result does not depend on how many.
    pub fn run(&self, song: Frames<'_>) -> Result<()> {
        let Frames { magnitudes, estimate, before, gain } = song;
        let frames = magnitudes.len() / self.bins();
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
        let each = frames.div_ceil(threads).max(FEWEST);
        let parts: Vec<Part<'_>> = magnitudes
            .chunks(each * self.bins())
            .zip(estimate.chunks_mut(each * self.bins()))
            .enumerate()
            .map(|(index, (magnitudes, estimate))| Part { index, magnitudes, estimate })
            .collect();
        // Two of each: while some still read those of one round, others write those of the next.
        let pieces: Vec<[Pieces; 2]> = parts
            .iter()
            .map(|part| {
                [(); 2].map(|()| RwLock::new(vec![0.0; part.magnitudes.len() / self.bins() * self.n_fft]))
            })
            .collect();
        let shared =
            Shared { each, frames, before, gain, pieces: &pieces, barrier: &Barrier::new(parts.len()) };
        let mut parts = parts.into_iter();
        let own = parts.next();
        std::thread::scope(|scope| {
            let mut others = Vec::with_capacity(parts.len());
            for part in parts {
                // They wait for one another in every round, and so nobody begins before all are there.
                let (go, gone) = channel::<()>();
                let shared = &shared;
                let refine = move || gone.recv().map_or(Ok(()), |()| self.refine(part, shared));
                let started = Builder::new().spawn_scoped(scope, refine);
                others.push((go, started.map_err(|e| Error::input("threads", e.to_string()))?));
            }
            let others: Vec<_> = others.into_iter().map(|(go, other)| (go.send(()), other)).collect();
            let own = own.map_or(Ok(()), |part| self.refine(part, &shared));
            let lost = |_| Err(Error::input("griffin_lim", "a thread was lost"));
            others.into_iter().map(|(_, other)| other.join().unwrap_or_else(lost)).fold(own, Result::and)
        })
    }

    /// The rounds of one thread's frames.
    fn refine(&self, part: Part<'_>, shared: &Shared<'_>) -> Result<()> {
        let Part { index, magnitudes, estimate } = part;
        let count = magnitudes.len() / self.bins();
        let mut inverse_scratch = self.inverse.make_scratch_vec();
        let mut forward_scratch = self.forward.make_scratch_vec();
        let mut sum = vec![0.0; (count - 1) * self.hop + self.n_fft];
        let (mut piece, mut consistent) = (vec![0.0; self.n_fft], self.forward.make_output_vec());
        let mut previous = vec![Complex32::ZERO; estimate.len()];
        let mut done = Ok(());
        for round in 0..self.config.rounds {
            let mut own = shared.pieces[index][round % 2].write().unwrap_or_else(PoisonError::into_inner);
            for (spectrum, piece) in
                estimate.chunks_exact_mut(self.bins()).zip(own.chunks_exact_mut(self.n_fft))
            {
                done = done.and(self.samples(spectrum, piece, &mut inverse_scratch));
            }
            drop(own);
            shared.barrier.wait();
            self.signal(&mut sum, index * shared.each, count, shared, round % 2);
            // Extrapolates from the second round on: before it there is nothing to extrapolate from.
            let ahead = if round == 0 { 1.0 } else { 1.0 + self.config.momentum as f32 };
            for frame in 0..count {
                multiply(&mut piece, &sum[frame * self.hop..][..self.n_fft], &self.window);
                done = done.and(self.spectrum(&mut piece, &mut consistent, &mut forward_scratch));
                let bins = frame * self.bins()..(frame + 1) * self.bins();
                let (previous, estimate) = (&mut previous[bins.clone()], &mut estimate[bins.clone()]);
                project(&consistent, previous, &magnitudes[bins], ahead, estimate);
            }
        }
        done
    }

    /// The weighted sum of all frames where those from `first` on, so many, stand.
    fn signal(&self, sum: &mut [f32], first: usize, count: usize, shared: &Shared<'_>, turn: usize) {
        let start = first * self.hop;
        sum.fill(0.0);
        add(sum, shared.before.get(start..).unwrap_or_default());
        // The last frame that ends after the start, and the first that begins after the end.
        let reach = (self.n_fft - 1) / self.hop;
        let (from, until) = (first.saturating_sub(reach), (first + count + reach).min(shared.frames));
        for part in from / shared.each..until.div_ceil(shared.each) {
            let pieces = shared.pieces[part][turn].read().unwrap_or_else(PoisonError::into_inner);
            let begin = part * shared.each;
            for frame in from.max(begin)..until.min(begin + shared.each) {
                let piece = &pieces[(frame - begin) * self.n_fft..][..self.n_fft];
                match (frame * self.hop).checked_sub(start) {
                    Some(offset) => add(sum.get_mut(offset..).unwrap_or_default(), piece),
                    None => add(sum, piece.get(start - frame * self.hop..).unwrap_or_default()),
                }
            }
        }
        for (sample, gain) in sum.iter_mut().zip(&shared.gain[start..]) {
            *sample *= gain;
        }
    }

    /// A frame's samples under the window; overwrites the spectrum.
    fn samples(
        &self,
        spectrum: &mut [Complex32],
        samples: &mut [f32],
        scratch: &mut [Complex32],
    ) -> Result<()> {
        // A real signal has none, and the transform insists.
        spectrum[0].im = 0.0;
        if self.n_fft.is_multiple_of(2) {
            spectrum[self.n_fft / 2].im = 0.0;
        }
        self.inverse.process_with_scratch(spectrum, samples, scratch).map_err(refused)?;
        let scale = 1.0 / self.n_fft as f32;
        for (sample, window) in samples.iter_mut().zip(&self.window) {
            *sample *= window * scale;
        }
        Ok(())
    }

    fn spectrum(
        &self,
        samples: &mut [f32],
        spectrum: &mut [Complex32],
        scratch: &mut [Complex32],
    ) -> Result<()> {
        self.forward.process_with_scratch(samples, spectrum, scratch).map_err(refused)
    }
}

/// What all threads see.
struct Shared<'a> {
    /// Frames of a thread; the last may have fewer.
    each: usize,
    frames: usize,
    before: &'a [f32],
    gain: &'a [f32],
    pieces: &'a [[Pieces; 2]],
    barrier: &'a Barrier,
}

fn refused(error: FftError) -> Error {
    Error::input("spectrum", error.to_string())
}

fn add(sum: &mut [f32], values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
}

fn multiply(product: &mut [f32], a: &[f32], b: &[f32]) {
    for ((product, a), b) in product.iter_mut().zip(a).zip(b) {
        *product = a * b;
    }
}

/// Goes `ahead` times the way from the previous spectrum to the consistent one, and from there to the magnitudes; zero stays zero.
fn project(
    consistent: &[Complex32],
    previous: &mut [Complex32],
    magnitudes: &[f32],
    ahead: f32,
    estimate: &mut [Complex32],
) {
    for (((consistent, previous), magnitude), estimate) in
        consistent.iter().zip(previous).zip(magnitudes).zip(estimate)
    {
        let (re, im) = (
            previous.re + (consistent.re - previous.re) * ahead,
            previous.im + (consistent.im - previous.im) * ahead,
        );
        *previous = *consistent;
        let scale = magnitude / (re * re + im * im).max(f32::MIN_POSITIVE).sqrt();
        *estimate = Complex32::new(re * scale, im * scale);
    }
}
