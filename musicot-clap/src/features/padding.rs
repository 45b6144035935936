//! Filling clips up to a window.

use musicot_core::Result;
use musicot_core::tch::Tensor;

use crate::config::Padding;
use crate::windows::repeat_pad;

impl Padding {
    /// Fills a clip up to `window` samples; one of at least that many is cut to them.
    pub fn fill(self, clip: &[f32], window: usize) -> Vec<f32> {
        match self {
            Self::RepeatPad => repeat_pad(clip, window),
            Self::Repeat if !clip.is_empty() => clip.iter().copied().cycle().take(window).collect(),
            Self::Repeat | Self::Pad => {
                let mut filled = clip[..clip.len().min(window)].to_vec();
                filled.resize(window, 0.0);
                filled
            }
        }
    }
}

/// [`Padding::fill`] on tensors `[batch, 1..=window]`.
pub(crate) fn fill(samples: &Tensor, padding: Padding, window: i64) -> Result<Tensor> {
    let length = samples.size()[1];
    let times = match padding {
        Padding::RepeatPad => window / length,
        Padding::Repeat => window / length + 1,
        Padding::Pad => 1,
    };
    let repeated = if times > 1 { samples.f_repeat([1, times])? } else { samples.shallow_clone() };
    // A negative number cuts.
    Ok(repeated.f_constant_pad_nd([0, window - repeated.size()[1]])?)
}

#[cfg(test)]
mod tests {
    use musicot_core::tensor;

    use super::*;

    #[test]
    fn each_way_of_filling() {
        let clip = [1.0, 2.0, 3.0];
        assert_eq!(Padding::RepeatPad.fill(&clip, 8), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
        assert_eq!(Padding::Repeat.fill(&clip, 8), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0]);
        assert_eq!(Padding::Pad.fill(&clip, 5), [1.0, 2.0, 3.0, 0.0, 0.0]);
        for padding in [Padding::RepeatPad, Padding::Repeat, Padding::Pad] {
            assert_eq!(padding.fill(&clip, 2), [1.0, 2.0]);
            assert_eq!(padding.fill(&[], 2), [0.0, 0.0]);
        }
    }

    #[test]
    fn tensors_are_filled_like_slices() {
        for padding in [Padding::RepeatPad, Padding::Repeat, Padding::Pad] {
            for length in [1_usize, 3, 5, 7, 10] {
                let clip: Vec<f32> = (0..length).map(|i| i as f32 + 1.0).collect();
                let row = Tensor::from_slice(&clip).unsqueeze(0);
                let filled = tensor::to_vec(&fill(&row, padding, 10).unwrap()).unwrap();
                assert_eq!(filled, padding.fill(&clip, 10), "{padding:?} {length}");
            }
        }
    }
}
