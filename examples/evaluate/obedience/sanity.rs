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
pub struct Sanity {
    made: Vec<ClipStats>,
    /// Stems that nothing was fitted on: instruments of the corpus rest too.
    stems: Vec<ClipStats>,
}

impl Sanity {
    pub fn push(&mut self, clip: &AudioBuffer) -> Outcome {
        self.made.push(ClipStats::of(clip)?);
        Ok(())
    }

    pub fn push_stem(&mut self, clip: &AudioBuffer) -> Outcome {
        self.stems.push(ClipStats::of(clip)?);
        Ok(())
    }

    pub fn figures(&self) -> Outcome<Vec<Figure>> {
        let loudness: Vec<f64> = self.made.iter().map(|clip| clip.loudness_lufs).collect();
        let (low, high) = (LOUDNESS.start(), LOUDNESS.end());
        let in_range = |clip: &ClipStats| LOUDNESS.contains(&clip.loudness_lufs);
        let unclipped = |clip: &ClipStats| clip.clipping_share == 0.0;
        let sounds = |clip: &ClipStats| clip.silence_share <= MOST_SILENCE;
        let quiet = format!("with at most {MOST_SILENCE} of silence");
        let ceiling = format!("ceiling: loudest windows of held-out stems {quiet}");
        Ok(vec![
            Figure::of("clips", self.made.len() as f64),
            share(format!("share with {low} to {high} LUFS"), &self.made, in_range)?.at_least(TARGET),
            share("share without a clipped sample".to_owned(), &self.made, unclipped)?.at_least(TARGET),
            share(format!("share {quiet}"), &self.made, sounds)?.at_least(TARGET),
            match self.stems.is_empty() {
                true => Figure::missing(ceiling, "no held-out piece has stems"),
                false => share(ceiling, &self.stems, sounds)?,
            },
            Figure::of("quietest clip, LUFS", quantile(&loudness, 0.0)?),
            Figure::of("loudest clip, LUFS", quantile(&loudness, 1.0)?),
        ])
    }
}

fn share(name: String, clips: &[ClipStats], is_sane: impl Fn(&ClipStats) -> bool) -> Outcome<Figure> {
    let clips: Vec<f64> = clips.iter().map(|clip| f64::from(is_sane(clip))).collect();
    Figure::mean_of(name, &clips)
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
