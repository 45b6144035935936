//! What the latents are conditioned on.

use musicot_core::shape::{self, ANY};
use musicot_core::tch::{Device, Kind, Tensor};

use crate::{DitConfig, Error, NullBranch, Result};

/// Thoughts and which of them each frame belongs to.
#[derive(Debug)]
pub struct Thoughts {
    /// `[batch, windows, thought_dim]`: the decoded (quantised) embedding of each 10 s window.
    pub embeddings: Tensor,
    /// `[batch, frames]`, i64: the window of each frame; see [`frame_windows`].
    pub frame_windows: Tensor,
}

/// Which items of a batch keep a condition; the others get its learned null. `None`: all keep it.
#[derive(Debug, Default)]
pub struct Keep {
    /// bool `[batch]`.
    pub semantic: Option<Tensor>,
    /// bool `[batch]`.
    pub thoughts: Option<Tensor>,
    /// bool `[batch]`.
    pub text: Option<Tensor>,
}

/// The conditions of a batch; each that is absent is replaced by its learned null.
#[derive(Debug, Default)]
pub struct Condition {
    /// `[batch, frames]`, i64: one semantic token per latent frame.
    pub semantic: Option<Tensor>,
    /// The plan.
    pub thoughts: Option<Thoughts>,
    /// `[batch, text_dim]`: embedding of the description in the joint space.
    pub text: Option<Tensor>,
    /// Which items keep what.
    pub keep: Keep,
    /// bool `[batch, frames]`: frames at which the input holds clean latents that are to be continued, not made.
    pub known: Option<Tensor>,
}

/// The window of each of the frames `first..first + frames` of a song, counted from its start; frames past the last window
/// (a remainder too short for a thought of its own) belong to the last. `windows` must be positive.
///
/// ```
/// # use musicot_diffusion::frame_windows;
/// assert_eq!(frame_windows(248, 4, 250.0, 9), [0, 0, 1, 1]);
/// assert_eq!(frame_windows(499, 2, 250.0, 2), [1, 1]);
/// ```
pub fn frame_windows(first: usize, frames: usize, frames_per_window: f64, windows: usize) -> Vec<i64> {
    let last = windows.saturating_sub(1);
    let window = |frame: usize| (frame as f64 / frames_per_window.max(1.0)) as usize;
    (first..first + frames).map(|frame| window(frame).min(last) as i64).collect()
}

impl Condition {
    /// Checks every shape, type and range against a model and latents `[batch, _, frames]`.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Input`] names the tensor.
    pub fn validate(&self, config: &DitConfig, batch: i64, frames: i64) -> Result<()> {
        if let Some(semantic) = &self.semantic {
            shape::expect("semantic tokens", semantic, &[batch, frames])?;
            shape::expect_kind("semantic tokens", semantic, Kind::Int64)?;
        }
        if let Some(thoughts) = &self.thoughts {
            shape::expect("thoughts", &thoughts.embeddings, &[batch, ANY, config.thought_dim])?;
            shape::expect("frame windows", &thoughts.frame_windows, &[batch, frames])?;
            shape::expect_ids("frame windows", &thoughts.frame_windows, thoughts.embeddings.size()[1])?;
        }
        if let Some(text) = &self.text {
            shape::expect("text embedding", text, &[batch, config.text_dim])?;
        }
        for (what, mask, axes) in [
            ("kept semantic tokens", &self.keep.semantic, vec![batch]),
            ("kept thoughts", &self.keep.thoughts, vec![batch]),
            ("kept text", &self.keep.text, vec![batch]),
            ("known frames", &self.known, vec![batch, frames]),
        ] {
            if let Some(mask) = mask {
                shape::expect(what, mask, &axes)?;
                shape::expect_kind(what, mask, Kind::Bool)?;
            }
        }
        Ok(())
    }

    /// This batch once per branch, one after the other, each without what its branch drops.
    pub(crate) fn branches(&self, branches: &[NullBranch], batch: i64) -> Result<Self> {
        let copies = |tensor: &Tensor| repeat(tensor, branches.len());
        let all = |tensor: &Option<Tensor>| tensor.as_ref().map(copies).transpose();
        let thoughts = match &self.thoughts {
            None => None,
            Some(thoughts) => Some(Thoughts {
                embeddings: copies(&thoughts.embeddings)?,
                frame_windows: copies(&thoughts.frame_windows)?,
            }),
        };
        let kept = |keep: &Option<Tensor>, dropped: fn(&NullBranch) -> bool| {
            keep_in(keep.as_ref(), &branches.iter().map(dropped).collect::<Vec<_>>(), batch)
        };
        let keep = Keep {
            semantic: kept(&self.keep.semantic, |branch| branch.semantic)?,
            thoughts: kept(&self.keep.thoughts, |branch| branch.thoughts)?,
            text: kept(&self.keep.text, |branch| branch.text)?,
        };
        Ok(Self {
            semantic: all(&self.semantic)?,
            thoughts,
            text: all(&self.text)?,
            keep,
            known: all(&self.known)?,
        })
    }

    /// Moves everything to a device.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn to_device(&self, device: Device) -> Result<Self> {
        let thoughts = match &self.thoughts {
            None => None,
            Some(thoughts) => Some(Thoughts {
                embeddings: thoughts.embeddings.f_to_device(device)?,
                frame_windows: thoughts.frame_windows.f_to_device(device)?,
            }),
        };
        let moved = |tensor: &Option<Tensor>| -> Result<Option<Tensor>> {
            Ok(tensor.as_ref().map(|t| t.f_to_device(device)).transpose()?)
        };
        let keep = Keep {
            semantic: moved(&self.keep.semantic)?,
            thoughts: moved(&self.keep.thoughts)?,
            text: moved(&self.keep.text)?,
        };
        Ok(Self {
            semantic: moved(&self.semantic)?,
            thoughts,
            text: moved(&self.text)?,
            keep,
            known: moved(&self.known)?,
        })
    }
}

/// The batch so many times, one after the other.
pub(crate) fn repeat(tensor: &Tensor, times: usize) -> Result<Tensor> {
    Ok(Tensor::f_cat(&vec![tensor; times], 0)?)
}

/// The mask of a batch that stands once per branch, empty where its branch dropped the condition.
fn keep_in(keep: Option<&Tensor>, dropped: &[bool], batch: i64) -> Result<Option<Tensor>> {
    let kept = match keep {
        None if !dropped.contains(&true) => return Ok(None),
        None => Tensor::f_ones([batch], (Kind::Bool, Device::Cpu))?,
        Some(keep) => keep.shallow_clone(),
    };
    let none = kept.f_zeros_like()?;
    let parts: Vec<&Tensor> = dropped.iter().map(|dropped| if *dropped { &none } else { &kept }).collect();
    Ok(Some(Tensor::f_cat(&parts, 0)?))
}

/// A boolean tensor from host values.
pub(crate) fn mask(values: &[bool], shape: &[i64], device: Device) -> Result<Tensor> {
    let expected: i64 = shape.iter().product();
    if expected != values.len() as i64 {
        let actual = vec![values.len() as i64];
        return Err(Error::Shape { what: "mask".to_owned(), expected: format!("{expected} values"), actual });
    }
    let bytes: Vec<u8> = values.iter().map(|value| u8::from(*value)).collect();
    Ok(Tensor::f_from_slice(&bytes)?.f_to_kind(Kind::Bool)?.f_reshape(shape)?.f_to_device(device)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A crop that starts anywhere sees the windows that the whole song has there.
        #[test]
        fn crops_see_the_windows_of_the_whole(first in 0_usize..900, frames in 1_usize..300, per in 1.0_f64..300.0, windows in 1_usize..6) {
            let whole = frame_windows(0, first + frames, per, windows);
            let crop = frame_windows(first, frames, per, windows);
            prop_assert_eq!(&whole[first..], &crop[..]);
            prop_assert!(crop.iter().all(|w| *w >= 0 && *w < windows as i64));
        }
    }
}
