//! Cutting a recording of any length into windows, always the same way.

use musicot_core::{Error, Result};

/// First samples of the windows of a recording of `samples` samples.
///
/// Window i covers `i * hop .. i * hop + window`. The first is always there. A later one is there when at least half of it lies within
/// the recording; what it lacks is filled by [`repeat_pad`]. So, with `hop == window`, a remainder of at least half a window is
/// embedded and a shorter one is left out. Nothing is random.
///
/// # Errors
/// [`Error::Input`] when the recording is empty, or `window` or `hop` is 0.
///
/// ```
/// use musicot_clap::windows::starts;
/// assert_eq!(starts(25, 10, 10)?.collect::<Vec<_>>(), [0, 10, 20]);
/// assert_eq!(starts(24, 10, 10)?.collect::<Vec<_>>(), [0, 10]);
/// assert_eq!(starts(3, 10, 10)?.collect::<Vec<_>>(), [0]);
/// # Ok::<(), musicot_clap::Error>(())
/// ```
pub fn starts(samples: usize, window: usize, hop: usize) -> Result<impl Iterator<Item = usize>> {
    if samples == 0 {
        return Err(Error::input("audio", "expected at least one sample, got none"));
    }
    if window == 0 || hop == 0 {
        return Err(Error::input(
            "windows",
            format!("expected window > 0 and hop > 0, got {window} and {hop}"),
        ));
    }
    let later = (1..).map(move |i: usize| i.saturating_mul(hop));
    let is_half_inside = move |start: &usize| start.saturating_add(window.div_ceil(2)) <= samples;
    Ok(std::iter::once(0).chain(later.take_while(is_half_inside)))
}

/// Fills a clip up to `window` samples as the published models were trained: it is repeated as often as it fits whole, the rest is
/// silence. A clip of at least `window` samples is cut to it.
pub fn repeat_pad(clip: &[f32], window: usize) -> Vec<f32> {
    if clip.len() >= window || clip.is_empty() {
        let mut filled = clip[..clip.len().min(window)].to_vec();
        filled.resize(window, 0.0);
        return filled;
    }
    let mut filled = clip.repeat(window / clip.len());
    filled.resize(window, 0.0);
    filled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repeats_whole_clips_only() {
        assert_eq!(repeat_pad(&[1.0, 2.0, 3.0], 8), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
        assert_eq!(repeat_pad(&[1.0, 2.0, 3.0], 2), [1.0, 2.0]);
        assert_eq!(repeat_pad(&[], 2), [0.0, 0.0]);
    }

    #[test]
    fn refuses_nothing() {
        assert!(starts(0, 10, 10).is_err());
        assert!(starts(10, 0, 10).is_err());
        assert!(starts(10, 10, 0).is_err());
    }

    proptest! {
        #[test]
        fn windows_cover_all_but_a_short_remainder(samples in 1_usize..5000, window in 1_usize..300) {
            let all: Vec<usize> = starts(samples, window, window).unwrap().collect();
            let covered = all.len() * window;
            prop_assert!(all.iter().enumerate().all(|(i, start)| *start == i * window));
            prop_assert!(covered + window.div_ceil(2) > samples);
            prop_assert!(all.iter().skip(1).all(|start| samples - start >= window.div_ceil(2)));
        }

        #[test]
        fn padding_gives_the_window_and_keeps_the_start(clip in prop::collection::vec(-1_f32..1.0, 1..200), window in 1_usize..400) {
            let filled = repeat_pad(&clip, window);
            prop_assert_eq!(filled.len(), window);
            let kept = clip.len().min(window);
            prop_assert_eq!(&filled[..kept], &clip[..kept]);
        }
    }
}
