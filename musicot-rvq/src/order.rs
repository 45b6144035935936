//! Codes as one sequence, for a language model.

use musicot_core::{Error, Result};
use ndarray::{Array2, ArrayView2, ShapeBuilder};
use serde::{Deserialize, Serialize};

/// In which order the codes `[windows, levels]` of a plan follow each other. The MusiCoT paper does not say which axis
/// it flattens: both are here, and time-major is our default because a plan in that order can be used window by window.
///
/// ```
/// use musicot_rvq::Order;
/// let codes = ndarray::array![[1, 2, 3], [4, 5, 6]]; // two windows of three levels
/// assert_eq!(Order::TimeMajor.flatten(codes.view()), [1, 2, 3, 4, 5, 6]);
/// assert_eq!(Order::LevelMajor.flatten(codes.view()), [1, 4, 2, 5, 3, 6]);
/// assert_eq!(Order::LevelMajor.unflatten(&[1, 4, 2, 5, 3, 6], 3)?, codes);
/// # Ok::<(), musicot_rvq::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// All levels of the first window, then all of the second.
    #[default]
    TimeMajor,
    /// The first level of all windows, then the second of all.
    LevelMajor,
}

impl Order {
    /// Codes `[windows, levels]` to a sequence of `windows * levels`.
    pub fn flatten(self, codes: ArrayView2<'_, i64>) -> Vec<i64> {
        match self {
            Self::TimeMajor => codes.iter().copied().collect(),
            Self::LevelMajor => codes.t().iter().copied().collect(),
        }
    }

    /// A whole sequence back to codes `[windows, levels]`.
    ///
    /// # Errors
    /// [`Error::Input`] for 0 levels; [`Error::Shape`] when the length is not a multiple of the levels (in level-major order a
    /// sequence cut short says nothing about which window a code belongs to, so it is refused and not padded).
    pub fn unflatten(self, sequence: &[i64], levels: usize) -> Result<Array2<i64>> {
        if levels == 0 {
            return Err(Error::input("levels", "expected at least 1, got 0"));
        }
        let wrong_length = || Error::Shape {
            what: "sequence of codes".to_owned(),
            expected: format!("[a multiple of {levels}]"),
            actual: vec![sequence.len() as i64],
        };
        if !sequence.len().is_multiple_of(levels) {
            return Err(wrong_length());
        }
        let shape = (sequence.len() / levels, levels).set_f(self == Self::LevelMajor);
        Array2::from_shape_vec(shape, sequence.to_vec()).map_err(|_| wrong_length())
    }
}
