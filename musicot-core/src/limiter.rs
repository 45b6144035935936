//! Keeps the peaks of audio under a ceiling, piece by piece.

use std::collections::VecDeque;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, s};

use crate::audio::expect_finite;
use crate::{AudioBuffer, Error, Result};

/// How long before a peak the gain starts to fall, seconds.
const LOOKAHEAD_SECS: f64 = 0.05;

/// Turns audio down for good where a peak would go beyond a ceiling, so that no sample leaves it beyond; audio that keeps within is not changed by a bit.
///
/// All channels get one gain, which starts at 1 and never rises: behind the highest peak so far everything keeps its proportions, as if the whole had been scaled
/// at once, which a stream cannot do. It reaches what a peak needs by the time the peak is there, in a straight line over 50 ms. The output is that of
/// the whole, however the input is cut into pieces; it comes 50 ms late, which [`Limiter::finish`] makes up for.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::{AudioBuffer, Limiter};
/// let loud = AudioBuffer::mono([vec![0.25; 4800], vec![2.0], vec![0.25; 4800]].concat(), 48_000)?;
/// let (limited, gain_db) = Limiter::apply(&loud, 0.5)?;
/// assert_eq!(limited.samples()[[0, 4800]], 0.5);
/// assert_eq!((limited.samples()[[0, 0]], limited.samples()[[0, 9600]]), (0.25, 0.0625));
/// assert!((gain_db - 20.0 * 0.25_f64.log10()).abs() < 1e-6); // what the peak needed
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Limiter {
    ceiling: f32,
    /// Frames of the look-ahead, at least 1.
    window: usize,
    /// Of the audio that is held; 0 before any came.
    channels: usize,
    /// Samples that were taken but not given back, frame by frame.
    held: VecDeque<f32>,
    /// What the highest peak so far needs.
    lowest: f64,
    /// What was needed at the last `window` frames that were given back, whose mean is the gain, and the sum of it.
    recent: VecDeque<f64>,
    sum: f64,
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
        let window = ((LOOKAHEAD_SECS * f64::from(sample_rate_hz)) as usize).max(1);
        Ok(Self {
            ceiling,
            window,
            channels: 0,
            held: VecDeque::new(),
            lowest: 1.0,
            recent: std::iter::repeat_n(1.0, window).collect(),
            sum: window as f64,
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

    /// Takes the next samples `[channels, frames]` and gives back those that are settled: as many, but for the 50 ms that are held from the first on.
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
        expect_finite(samples)?;
        self.channels = channels;
        // A frame is settled once the whole look-ahead from it on is there.
        let settled = (self.frames_held() + samples.ncols() + 1).saturating_sub(self.window);
        let mut out = Array2::zeros((channels, settled));
        let mut places = out.columns_mut().into_iter();
        for frame in samples.columns() {
            self.take(frame);
            if self.frames_held() == self.window
                && let Some(place) = places.next()
            {
                self.give(place);
            }
        }
        Ok(out)
    }

    /// Gives back the rest `[channels, frames]`. What comes after it keeps the gain.
    pub fn finish(&mut self) -> Array2<f32> {
        let mut rest = Array2::zeros((self.channels, self.frames_held()));
        rest.columns_mut().into_iter().for_each(|place| self.give(place));
        self.channels = 0;
        rest
    }

    /// The gain so far, dB: what the highest peak needed.
    pub fn gain_db(&self) -> f64 {
        20.0 * self.lowest.log10()
    }

    fn frames_held(&self) -> usize {
        self.held.len() / self.channels.max(1)
    }

    fn take(&mut self, frame: ArrayView1<'_, f32>) {
        let peak = frame.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        if peak > self.ceiling {
            self.lowest = self.lowest.min(f64::from(self.ceiling) / f64::from(peak));
        }
        self.held.extend(frame);
    }

    /// Gives back the oldest frame that is held.
    fn give(&mut self, place: ArrayViewMut1<'_, f32>) {
        let gain = self.next_gain() as f32;
        for (out, sample) in place.into_iter().zip(self.held.drain(..self.channels)) {
            // Rounding may leave a peak a step beyond.
            *out = (sample * gain).clamp(-self.ceiling, self.ceiling);
        }
    }

    /// The gain of the oldest frame that is held. From `window` frames before a peak on, what is needed is at most what the peak needs, so
    /// that by the time of the peak the mean is too.
    fn next_gain(&mut self) -> f64 {
        self.sum += self.lowest - self.recent.pop_front().unwrap_or(1.0);
        self.recent.push_back(self.lowest);
        // Where the gain has settled, what rounding left in the sum goes.
        if self.recent.front() == Some(&self.lowest) {
            self.sum = self.lowest * self.window as f64;
            return self.lowest;
        }
        self.sum / self.window as f64
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

    /// The gain falls in good time before a burst, and everything after it is scaled alike.
    #[test]
    fn a_burst_turns_down_what_follows() {
        let mut amplitudes = vec![0.4; 2 * RATE as usize];
        amplitudes[24_000..24_400].fill(2.0);
        let loud = sine(&amplitudes);
        let (limited, gain_db) = Limiter::apply(&loud, 0.5).unwrap();
        assert!((gain_db + 20.0 * 4.0_f64.log10()).abs() < 0.1, "{gain_db}");
        let gain = |frame: usize| limited.samples()[[0, frame]] / loud.samples()[[0, frame]];
        assert_eq!(gain(21_000), 1.0);
        assert!(gain(23_000) > 0.3 && gain(23_000) < 0.9, "{}", gain(23_000));
        let after = 10.0_f64.powf(gain_db / 20.0) as f32;
        assert!(
            (24_450..90_000)
                .all(|frame| (gain(frame) - after).abs() < 1e-4 || loud.samples()[[0, frame]].abs() < 1e-3)
        );
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
        limiter.push(Array2::zeros((1, 3000)).view()).unwrap();
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
