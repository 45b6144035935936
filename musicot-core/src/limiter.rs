//! Keeps the peaks of audio under a ceiling, piece by piece.

use std::collections::VecDeque;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, s};

use crate::{AudioBuffer, Error, Result};

/// How long before a peak the gain starts to fall, seconds.
const LOOKAHEAD_SECS: f64 = 0.005;

/// Time constant with which the gain returns to 1, seconds.
const RELEASE_SECS: f64 = 0.2;

/// A gain this close to 1 is 1 (0.001 dB).
const AT_REST: f64 = 1e-4;

/// A look-ahead peak limiter: no sample leaves it beyond the ceiling, and audio that keeps within it is not changed by a bit.
///
/// All channels get one gain. It reaches what a peak needs by the time the peak is there, in a straight line over 5 ms, and returns to 1 with a time constant of
/// 0.2 s. The output is that of the whole, however the input is cut into pieces; it comes 5 ms late, which [`Limiter::finish`] makes up for.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::{AudioBuffer, Limiter};
/// let loud = AudioBuffer::mono(vec![0.25; 480].into_iter().chain([2.0]).chain(vec![0.25; 480]).collect(), 48_000)?;
/// let (limited, gain_db) = Limiter::apply(&loud, 0.5)?;
/// assert_eq!(limited.frames(), loud.frames());
/// assert!(limited.samples().iter().all(|sample| *sample <= 0.5));
/// assert!((gain_db - 20.0 * 0.25_f64.log10()).abs() < 1e-6); // what the peak needed
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Limiter {
    ceiling: f32,
    /// Frames of the look-ahead, at least 1.
    window: usize,
    release: f64,
    /// Of the audio that is held; 0 before any came.
    channels: usize,
    /// Samples that were taken but not given back, frame by frame.
    held: VecDeque<f32>,
    /// Frames taken.
    taken: usize,
    /// Frames given back.
    given: usize,
    /// Candidates for the smallest gain that a frame of the look-ahead needs: place and gain, both rising.
    needed: VecDeque<(usize, f64)>,
    /// The released gains of the last `window` frames, whose mean is the gain, and their sum.
    recent: VecDeque<f64>,
    sum: f64,
    /// How many of the last released gains are 1.
    at_rest: usize,
    lowest: f64,
}

impl Limiter {
    /// Starts a stream of any number of channels. 1 is full scale.
    ///
    /// # Errors
    /// [`Error::Input`] when the ceiling is not positive, or the rate is 0.
    pub fn new(ceiling: f32, sample_rate_hz: u32) -> Result<Self> {
        if !(ceiling.is_finite() && ceiling > 0.0) {
            return Err(Error::input("ceiling", format!("expected a positive number, got {ceiling}")));
        }
        if sample_rate_hz == 0 {
            return Err(Error::input("sample rate", "expected a positive number, got 0"));
        }
        let rate = f64::from(sample_rate_hz);
        let window = ((LOOKAHEAD_SECS * rate) as usize).max(1);
        Ok(Self {
            ceiling,
            window,
            release: -(-1.0 / (RELEASE_SECS * rate)).exp_m1(),
            channels: 0,
            held: VecDeque::new(),
            taken: 0,
            given: 0,
            needed: VecDeque::new(),
            recent: std::iter::repeat_n(1.0, window).collect(),
            sum: window as f64,
            at_rest: window,
            lowest: 1.0,
        })
    }

    /// Limits whole audio; also tells the lowest gain, dB: 0 where nothing was changed, else less.
    ///
    /// # Errors
    /// See [`Limiter::new`] and [`Limiter::push`].
    pub fn apply(audio: &AudioBuffer, ceiling: f32) -> Result<(AudioBuffer, f64)> {
        let mut limiter = Self::new(ceiling, audio.sample_rate_hz())?;
        let head = limiter.push(audio.samples().view())?;
        let mut samples = Array2::zeros(audio.samples().dim());
        samples.slice_mut(s![.., ..head.ncols()]).assign(&head);
        samples.slice_mut(s![.., head.ncols()..]).assign(&limiter.finish());
        Ok((AudioBuffer::new(samples, audio.sample_rate_hz())?, limiter.gain_db()))
    }

    /// Takes the next samples `[channels, frames]` and gives back those that are settled: as many, but for the 5 ms that are held from the first on.
    ///
    /// # Errors
    /// [`Error::Input`] when a sample is not finite, there is no channel, or the number of channels changes; nothing is taken then.
    pub fn push(&mut self, samples: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        let channels = samples.nrows();
        let is_other = self.channels != 0 && self.channels != channels;
        if channels == 0 || is_other {
            let expected = if is_other { self.channels.to_string() } else { "at least one".to_owned() };
            return Err(Error::input("audio", format!("expected {expected} channels, got {channels}")));
        }
        if let Some(((channel, frame), sample)) =
            samples.indexed_iter().find(|(_, sample)| !sample.is_finite())
        {
            let reason =
                format!("expected finite samples, got {sample} in channel {channel} at frame {frame}");
            return Err(Error::input("audio", reason));
        }
        self.channels = channels;
        // A frame is settled once the whole look-ahead from it on is there.
        let settled = (self.taken - self.given + samples.ncols() + 1).saturating_sub(self.window);
        let mut out = Array2::zeros((channels, settled));
        let mut places = out.columns_mut().into_iter();
        for frame in samples.columns() {
            self.take(frame);
            if self.taken - self.given == self.window
                && let Some(place) = places.next()
            {
                self.give(place);
            }
        }
        Ok(out)
    }

    /// Gives back the rest `[channels, frames]`, and is ready for other audio.
    pub fn finish(&mut self) -> Array2<f32> {
        let mut rest = Array2::zeros((self.channels, self.taken - self.given));
        rest.columns_mut().into_iter().for_each(|place| self.give(place));
        (self.channels, self.taken, self.given) = (0, 0, 0);
        self.needed.clear();
        self.rest();
        rest
    }

    /// The lowest gain so far, dB: what the highest peak needed.
    pub fn gain_db(&self) -> f64 {
        20.0 * self.lowest.log10()
    }

    fn take(&mut self, frame: ArrayView1<'_, f32>) {
        let peak = frame.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        let gain = if peak > self.ceiling { f64::from(self.ceiling) / f64::from(peak) } else { 1.0 };
        while self.needed.back().is_some_and(|(_, last)| *last >= gain) {
            self.needed.pop_back();
        }
        self.needed.push_back((self.taken, gain));
        self.lowest = self.lowest.min(gain);
        self.held.extend(frame);
        self.taken += 1;
    }

    /// Gives back the oldest frame that is held.
    fn give(&mut self, place: ArrayViewMut1<'_, f32>) {
        let gain = self.next_gain() as f32;
        for (out, sample) in place.into_iter().zip(self.held.drain(..self.channels)) {
            // Rounding may leave a peak a step beyond.
            *out = (sample * gain).clamp(-self.ceiling, self.ceiling);
        }
        self.given += 1;
    }

    /// The gain of the oldest frame that is held. Every released gain from `window` frames before a peak up to it is at most what the peak
    /// needs, so that their mean is too.
    fn next_gain(&mut self) -> f64 {
        while self.needed.front().is_some_and(|(place, _)| *place < self.given) {
            self.needed.pop_front();
        }
        let needed = self.needed.front().map_or(1.0, |(_, gain)| *gain);
        let last = self.recent.back().copied().unwrap_or(1.0);
        let released = last + (1.0 - last) * self.release;
        let released = needed.min(if 1.0 - released < AT_REST { 1.0 } else { released });
        self.at_rest = if released < 1.0 { 0 } else { self.at_rest + 1 };
        self.sum += released - self.recent.pop_front().unwrap_or(1.0);
        self.recent.push_back(released);
        if self.at_rest >= self.window {
            self.rest();
        }
        self.sum / self.window as f64
    }

    /// The gain is 1 and stays so: what rounding left in the sum goes.
    fn rest(&mut self) {
        self.recent.iter_mut().for_each(|gain| *gain = 1.0);
        self.sum = self.window as f64;
        self.at_rest = self.window;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: u32 = 48_000;

    fn sine(amplitudes: &[f32]) -> AudioBuffer {
        let sample = |(frame, amplitude): (usize, &f32)| amplitude * (frame as f32 * 0.05).sin();
        AudioBuffer::mono(amplitudes.iter().enumerate().map(sample).collect(), RATE).unwrap()
    }

    #[test]
    fn what_keeps_within_the_ceiling_is_left_alone() {
        let quiet = sine(&[0.5; 3000]);
        assert_eq!(Limiter::apply(&quiet, 0.5).unwrap(), (quiet, 0.0));
        let nothing = AudioBuffer::new(Array2::zeros((2, 0)), RATE).unwrap();
        assert_eq!(Limiter::apply(&nothing, 0.5).unwrap(), (nothing, 0.0));
    }

    /// Around a burst the gain is low and moves slowly; long after it, samples are those that came in again.
    #[test]
    fn a_burst_is_ducked_and_forgotten() {
        let mut amplitudes = vec![0.4; 3 * RATE as usize];
        amplitudes[24_000..24_400].fill(2.0);
        let loud = sine(&amplitudes);
        let (limited, gain_db) = Limiter::apply(&loud, 0.5).unwrap();
        assert!((gain_db + 20.0 * 4.0_f64.log10()).abs() < 0.1, "{gain_db}");
        let gain = |frame: usize| limited.samples()[[0, frame]] / loud.samples()[[0, frame]];
        assert_eq!(gain(23_700), 1.0);
        assert!(gain(24_450) < 0.3 && gain(34_000) > 0.35 && gain(34_000) < 0.95);
        assert_eq!(limited.samples().slice(s![.., -1000..]), loud.samples().slice(s![.., -1000..]));
    }

    #[test]
    fn bad_input_is_named() {
        assert!(
            Limiter::new(0.0, RATE).is_err()
                && Limiter::new(f32::NAN, RATE).is_err()
                && Limiter::new(1.0, 0).is_err()
        );
        let mut limiter = Limiter::new(1.0, RATE).unwrap();
        limiter.push(Array2::zeros((2, 10)).view()).unwrap();
        let other = limiter.push(Array2::zeros((1, 10)).view()).unwrap_err().to_string();
        assert!(other.contains("expected 2 channels, got 1"), "{other}");
        assert!(limiter.push(Array2::zeros((0, 10)).view()).is_err());
        let broken =
            limiter.push(ndarray::array![[0.0, f32::INFINITY], [0.0, 0.0]].view()).unwrap_err().to_string();
        assert!(broken.contains("channel 0 at frame 1"), "{broken}");
        assert_eq!(limiter.finish().dim(), (2, 10));
        // After the end, audio of any number of channels may come.
        limiter.push(Array2::zeros((1, 300)).view()).unwrap();
    }

    proptest! {
        #[test]
        fn no_sample_is_beyond_and_cuts_do_not_matter(
            samples in proptest::collection::vec(-4.0_f32..4.0, 2..3000), cuts in proptest::collection::vec(1_usize..700, 1..9),
        ) {
            let frames = samples.len() / 2;
            let samples = Array2::from_shape_vec((2, frames), samples[..2 * frames].to_vec()).unwrap();
            let whole = AudioBuffer::new(samples.clone(), RATE).unwrap();
            let (limited, gain_db) = Limiter::apply(&whole, 0.75).unwrap();
            prop_assert!(limited.samples().iter().all(|sample| sample.abs() <= 0.75));
            let mut limiter = Limiter::new(0.75, RATE).unwrap();
            let (mut pieces, mut start) = (Vec::new(), 0);
            for cut in cuts.into_iter().cycle() {
                let end = (start + cut).min(frames);
                pieces.push(limiter.push(samples.slice(s![.., start..end])).unwrap());
                start = end;
                if start == frames { break; }
            }
            pieces.push(limiter.finish());
            let views: Vec<_> = pieces.iter().map(|piece| piece.view()).collect();
            prop_assert_eq!(&ndarray::concatenate(ndarray::Axis(1), &views).unwrap(), limited.samples());
            prop_assert_eq!(limiter.gain_db(), gain_db);
        }
    }
}
