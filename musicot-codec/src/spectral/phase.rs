//! Phases for magnitudes, block by block: propagation along spectral peaks, then rounds of fast Griffin-Lim in which what is already
//! fixed stays fixed. The waveform is the overlap-add of the fixed frames, so that blocks join without a seam. Spectra have frames before bins here.
//!
//! Sources: Beauregard, Harish and Wyse, "Single pass spectrogram inversion" (2015) for the start; Perraudin, Balazs and Søndergaard,
//! "A fast Griffin-Lim algorithm" (2013) for the rounds.

use std::f64::consts::{PI, TAU};

use musicot_core::dsp::{GriffinLim, refine_phases};
use musicot_core::tch::{self, Kind, Tensor};

use super::Magnitudes;
use crate::Result;

/// Frames whose phases are fixed at a time.
const BLOCK: i64 = 50;
/// Frames beyond a block that take part in its rounds, so that its end fits what follows.
const AHEAD: i64 = 8;

pub(super) struct BlockSynthesis<'a> {
    transform: &'a Magnitudes,
    rounds: usize,
    /// Magnitudes whose phases are not fixed, `[batch, frames, bins]`.
    pending: Option<Tensor>,
    /// Phases already estimated for the first pending frames.
    estimated: Option<Tensor>,
    /// The last fixed frames of the complex spectrum.
    fixed: Option<Tensor>,
    /// Frames fixed so far, and hops of samples given out.
    fixed_frames: i64,
    emitted_hops: i64,
}

impl<'a> BlockSynthesis<'a> {
    pub fn new(transform: &'a Magnitudes, rounds: usize) -> Self {
        Self {
            transform,
            rounds,
            pending: None,
            estimated: None,
            fixed: None,
            fixed_frames: 0,
            emitted_hops: 0,
        }
    }

    /// Frames on each side that overlap a hop.
    fn reach(&self) -> i64 {
        let stft = self.transform.stft();
        ((stft.n_fft() - stft.hop()) / 2 + stft.hop() - 1) / stft.hop()
    }

    /// Takes normalised log-magnitudes `[batch, bands, any]`, returns the samples `[batch, any]` that are final.
    pub fn push(&mut self, normalised: &Tensor) -> Result<Tensor> {
        let new = self.transform.expand(normalised)?.f_transpose(1, 2)?.f_contiguous()?;
        let empty = Tensor::f_zeros([new.size()[0], 0], (Kind::Float, new.device()))?;
        self.pending = Some(match &self.pending {
            Some(pending) => Tensor::f_cat(&[pending, &new], 1)?,
            None => new,
        });
        let mut audio = vec![empty];
        while self.pending_frames() >= BLOCK + AHEAD {
            self.fix(BLOCK, AHEAD)?;
            audio.push(self.emit(self.fixed_frames - self.reach())?);
        }
        Ok(Tensor::f_cat(&audio, 1)?)
    }

    /// Returns the rest `[batch, any]` and is ready for another song.
    pub fn finish(&mut self) -> Result<Tensor> {
        let mut audio = Vec::new();
        while self.pending_frames() > 0 {
            let count = self.pending_frames().min(BLOCK);
            let ahead = (self.pending_frames() - count).min(AHEAD);
            self.fix(count, ahead)?;
            audio.push(self.emit(self.fixed_frames - self.reach())?);
        }
        audio.push(self.emit(self.fixed_frames)?);
        *self = Self::new(self.transform, self.rounds);
        Ok(Tensor::f_cat(&audio, 1)?)
    }

    fn pending_frames(&self) -> i64 {
        self.pending.as_ref().map_or(0, |p| p.size()[1])
    }

    /// Fixes the phases of `count` frames with the help of `ahead` more.
    fn fix(&mut self, count: i64, ahead: i64) -> Result<()> {
        let Some(pending) = &self.pending else { return Ok(()) };
        let magnitudes = pending.f_narrow(1, 0, count + ahead)?;
        let phases = self.start_phases(&magnitudes)?;
        let start = Tensor::f_polar(&magnitudes, &phases)?;
        let rounds = GriffinLim { rounds: self.rounds, ..GriffinLim::default() };
        let estimate =
            refine_phases(self.transform.stft(), &magnitudes, &start, self.fixed.as_ref(), rounds)?;
        let rest = pending.size()[1] - count;
        self.pending = if rest > 0 { Some(pending.f_narrow(1, count, rest)?) } else { None };
        self.estimated = if ahead > 0 { Some(estimate.f_narrow(1, count, ahead)?.f_angle()?) } else { None };
        let block = estimate.f_narrow(1, 0, count)?;
        let all = match &self.fixed {
            Some(fixed) => Tensor::f_cat(&[fixed, &block], 1)?,
            None => block,
        };
        self.fixed = Some(all);
        self.fixed_frames += count;
        Ok(())
    }

    /// Samples up to hop `until`; keeps the fixed frames that later samples need.
    fn emit(&mut self, until: i64) -> Result<Tensor> {
        let stft = self.transform.stft();
        let (hop, reach) = (stft.hop(), self.reach());
        let Some(fixed) = &self.fixed else {
            return Ok(Tensor::f_zeros([1, 0], (Kind::Float, tch::Device::Cpu))?);
        };
        let held = fixed.size()[1];
        let count = (until - self.emitted_hops).max(0);
        let first = self.fixed_frames - held;
        let audio = stft.inverse(&fixed.f_transpose(1, 2)?)?.f_narrow(
            1,
            (self.emitted_hops - first) * hop,
            count * hop,
        )?;
        self.emitted_hops += count;
        // Overlap with the next samples on one side, a full envelope around those on the other, and context for the rounds.
        let keep = held.min(4 * reach);
        self.fixed = Some(fixed.f_narrow(1, held - keep, keep)?);
        Ok(audio)
    }

    /// Known phases where there are some, then propagation from the last of them.
    fn start_phases(&self, magnitudes: &Tensor) -> Result<Tensor> {
        let (batch, frames, bins) = magnitudes.size3()?;
        let (peaks, advance) = self.peaks(magnitudes)?;
        let offset = Tensor::f_arange(bins, (Kind::Float, magnitudes.device()))?;
        // Under a symmetric window the bins around a peak alternate in sign.
        let turn = offset.f_sub(&peaks.f_to_kind(Kind::Float)?)?.f_mul_scalar(PI)?;
        let known = self.estimated.as_ref().map_or(0, |p| p.size()[1]).min(frames);
        let mut phases: Vec<Tensor> = Vec::new();
        for t in 0..known {
            if let Some(estimated) = &self.estimated {
                phases.push(estimated.f_select(1, t)?);
            }
        }
        for t in known..frames {
            let last = match (phases.last(), &self.fixed) {
                (Some(phase), _) => phase.shallow_clone(),
                (None, Some(fixed)) => fixed.f_select(1, -1)?.f_angle()?,
                (None, None) => offset.f_mul_scalar(PI)?.f_expand([batch, bins], false)?,
            };
            let ahead = last.f_add(&advance.f_select(1, t)?)?.f_gather(1, &peaks.f_select(1, t)?, false)?;
            phases.push(ahead.f_add(&turn.f_select(1, t)?)?.f_remainder(TAU)?);
        }
        Ok(Tensor::f_stack(&phases, 1)?)
    }

    /// For every bin the nearest spectral peak `[batch, frames, bins]` (i64), and the phase by which a sinusoid at a peak's interpolated
    /// frequency advances in a hop (meaningful at peak bins).
    fn peaks(&self, magnitudes: &Tensor) -> Result<(Tensor, Tensor)> {
        let stft = self.transform.stft();
        let log = magnitudes.f_add_scalar(1e-9)?.f_log()?;
        let bins = log.size3()?.2;
        let padded = log.f_replication_pad1d([1, 1])?;
        let (below, above) = (padded.f_narrow(2, 0, bins)?, padded.f_narrow(2, 2, bins)?);
        let is_peak = log.f_gt_tensor(&below)?.f_logical_and(&log.f_ge_tensor(&above)?)?;
        let index = Tensor::f_arange(bins, (Kind::Int64, log.device()))?;
        let curve = below.f_add(&above)?.f_sub(&log.f_mul_scalar(2.0)?)?.f_clamp_max(-1e-6)?;
        let shift = below.f_sub(&above)?.f_div(&curve)?.f_mul_scalar(0.5)?.f_clamp(-0.5, 0.5)?;
        let frequency = shift.f_add(&index)?;
        let advance = frequency.f_mul_scalar(TAU * stft.hop() as f64 / stft.n_fft() as f64)?;
        Ok((nearest(&is_peak, &index)?, advance))
    }
}

/// Index of the nearest true element along the last axis; the element's own index where there is none.
fn nearest(is_peak: &Tensor, index: &Tensor) -> Result<Tensor> {
    let bins = index.size()[0];
    let far = 4 * bins;
    let lower = Tensor::f_where_scalarother(&index.f_expand_as(is_peak)?, is_peak, -far)?;
    let upper = Tensor::f_where_scalarother(&index.f_expand_as(is_peak)?, is_peak, far)?;
    let lower = lower.f_cummax(-1)?.0;
    let upper = upper.f_flip([-1])?.f_cummin(-1)?.0.f_flip([-1])?;
    let lower_is_near = index.f_sub(&lower)?.f_le_tensor(&upper.f_sub(index)?)?;
    let near = lower.f_where_self(&lower_is_near, &upper)?;
    let out_of_range = near.f_lt(0)?.f_logical_or(&near.f_ge(bins)?)?;
    Ok(index.f_expand_as(&near)?.f_where_self(&out_of_range, &near)?)
}
