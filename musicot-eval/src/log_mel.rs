//! Log-mel frames, from which onsets and flux are read.

use musicot_core::AudioBuffer;
use musicot_core::dsp::{MelBank, MelConfig, MelNorm, MelScale};
use ndarray::Array2;

use crate::Result;
use crate::analysis::Analysis;
use crate::check;

pub(crate) const WINDOW_SECS: f64 = 2048.0 / 48_000.0;
const HOP_SECS: f64 = 0.01;
const BANDS: usize = 80;
const MIN_HZ: f64 = 30.0;
const MAX_HZ: f64 = 16_000.0;

/// Depth below the loudest cell of the recording at which levels are cut off.
const RANGE_DB: f32 = 80.0;

/// Nothing below this power (-120 dB) counts as sound.
const FLOOR_POWER: f32 = 1e-12;

/// Levels in decibels `[frames, bands]`: 80 mel bands (Slaney) of 30 Hz to 16 kHz, windows of 43 ms every 10 ms, cut off 80 dB
/// below the loudest. So they do not depend on the gain, except by a constant.
pub(crate) struct LogMel {
    pub(crate) db: Array2<f32>,
    pub(crate) frame_rate_hz: f64,
    /// Frames whose window and the window before lie within the recording.
    inside: std::ops::Range<usize>,
}

impl LogMel {
    pub(crate) fn of(what: &str, audio: &AudioBuffer) -> Result<Self> {
        let samples = check::mono(what, audio)?;
        let analysis = Analysis::new(audio.sample_rate_hz(), WINDOW_SECS, HOP_SECS)?;
        let bank = MelBank::new(&MelConfig {
            sample_rate_hz: audio.sample_rate_hz(),
            n_fft: analysis.n_fft(),
            bands: BANDS,
            min_hz: MIN_HZ,
            max_hz: MAX_HZ.min(f64::from(audio.sample_rate_hz()) / 2.0),
            scale: MelScale::Slaney,
            norm: MelNorm::None,
        })?;
        let frame_rate_hz = analysis.frame_rate_hz();
        let inside = analysis.whole_frames(samples.len());
        let mut db = analysis.with_bank(&bank.weights)?.all(&samples)?;
        let loudest = db.iter().copied().fold(FLOOR_POWER, f32::max);
        let floor = (loudest * 10_f32.powf(-RANGE_DB / 10.0)).max(FLOOR_POWER);
        db.mapv_inplace(|power| 10.0 * power.max(floor).log10());
        Ok(Self { db, frame_rate_hz, inside: (inside.start + 1).min(inside.end)..inside.end })
    }

    /// The mean over the bands of a function of the change since the frame before. It is 0 at the ends of the recording, where a
    /// window sees the silence outside: the cut there is nothing that sounds.
    pub(crate) fn changes(&self, of: impl Fn(f32) -> f32) -> Vec<f64> {
        let change = |frame: usize| {
            let pairs = self.db.row(frame).into_iter().zip(self.db.row(frame - 1));
            pairs.map(|(now, before)| f64::from(of(now - before))).sum::<f64>() / BANDS as f64
        };
        (0..self.db.nrows())
            .map(|frame| if self.inside.contains(&frame) { change(frame) } else { 0.0 })
            .collect()
    }
}
