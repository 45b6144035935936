//! Loudness, clipping, silence and seams of generated clips.

use musicot::codec::AudioCodec;
use musicot::core::AudioBuffer;
use musicot_eval::clip::ClipStats;
use musicot_eval::statistics::quantile;

use super::Studio;
use super::prompts::by_number;
use crate::Context;
use crate::common::Outcome;
use crate::figure::Figure;
use crate::seams;

/// Loudness that needs no hand on the volume, in LUFS: recorded music lies between -30 (chamber music) and -8.
const LOUDNESS: std::ops::RangeInclusive<f64> = -35.0..=-8.0;

/// A clip with more of it silent has stopped playing.
const MOST_SILENCE: f64 = 0.3;

/// Least share of sane clips.
const TARGET: f64 = 0.95;

/// Clips with seams.
const LONG_CLIPS: usize = 4;

/// Windows of each after the first.
const MORE_WINDOWS: usize = 2;

/// Statistics of all clips.
#[derive(Default)]
pub struct Sanity(Vec<ClipStats>);

impl Sanity {
    pub fn push(&mut self, clip: &AudioBuffer) -> Outcome {
        self.0.push(ClipStats::of(clip)?);
        Ok(())
    }

    pub fn figures(&self) -> Outcome<Vec<Figure>> {
        let share = |name: String, is_sane: fn(&ClipStats) -> bool| -> Outcome<Figure> {
            let clips: Vec<f64> = self.0.iter().map(|clip| f64::from(is_sane(clip))).collect();
            Ok(Figure::mean_of(name, &clips)?.at_least(TARGET))
        };
        let loudness: Vec<f64> = self.0.iter().map(|clip| clip.loudness_lufs).collect();
        let (low, high) = (LOUDNESS.start(), LOUDNESS.end());
        Ok(vec![
            Figure::of("clips", self.0.len() as f64),
            share(format!("share with {low} to {high} LUFS"), |clip| LOUDNESS.contains(&clip.loudness_lufs))?,
            share("share without a clipped sample".to_owned(), |clip| clip.clipping_share == 0.0)?,
            share(format!("share with at most {MOST_SILENCE} of silence"), |clip| {
                clip.silence_share <= MOST_SILENCE
            })?,
            Figure::of("quietest clip, LUFS", quantile(&loudness, 0.0)?),
            Figure::of("loudest clip, LUFS", quantile(&loudness, 1.0)?),
        ])
    }
}

/// Clips longer than a window of the diffusion.
pub fn long_clips(context: &Context, studio: &mut Studio) -> Outcome<Vec<Figure>> {
    let windows = studio.generator.settings().windows.clone();
    let rate = context.stages.codec()?.frame_rate_hz();
    let step = windows.window_frames.saturating_sub(windows.prefix_frames + windows.lookahead_frames);
    let secs = (windows.first_window_frames + MORE_WINDOWS * step) as f64 / rate;
    let mut shares = Vec::new();
    let clips = LONG_CLIPS.min(context.options.prompts);
    for number in 0..clips {
        let song = studio.play(&by_number(number).prompt, secs, number, clips)?;
        shares.extend(seams::flux(&windows, rate, &song.audio)?);
    }
    seams::figures(&shares, "no clip is longer than a window")
}
