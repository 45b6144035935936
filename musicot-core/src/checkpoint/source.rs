//! Where a model's tensor comes from: a tensor of the file, a part of one, or a weight-normed pair.

use std::collections::BTreeMap;
use std::fmt;

use tch::{Kind, Tensor};

use super::read::Checkpoint;
use crate::Result;

/// The two names of each half of a weight-normed tensor: PyTorch's first form, and its parametrisations.
const MAGNITUDE: [&str; 2] = ["weight_g", "parametrizations.weight.original0"];
const DIRECTION: [&str; 2] = ["weight_v", "parametrizations.weight.original1"];

/// What a model's tensor is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A tensor of the file.
    Whole(String),
    /// One of equal parts of the first axis.
    Part { name: String, index: i64, of: i64 },
    /// `v * g / |v|` (Salimans and Kingma, 2016), norm over every axis along which `g` has size 1.
    WeightNorm { magnitude: String, direction: String },
}

impl Source {
    /// The tensor of the file that says shape and type.
    fn main(&self) -> &str {
        match self {
            Self::Whole(name) | Self::Part { name, .. } => name,
            Self::WeightNorm { direction, .. } => direction,
        }
    }

    /// `None` where libtorch lacks the element type.
    pub(super) fn kind(&self, checkpoint: &Checkpoint) -> Option<Kind> {
        Some(checkpoint.info(self.main())?.kind)
    }

    pub(super) fn dtype_name(&self, checkpoint: &Checkpoint) -> String {
        checkpoint.dtype_name(self.main())
    }

    /// A tensor that cannot be parted evenly keeps its own shape, which is then no model's.
    pub(super) fn shape(&self, checkpoint: &Checkpoint) -> Option<Vec<i64>> {
        let mut shape = checkpoint.shape(self.main())?;
        if let (Self::Part { of, .. }, Some(first)) = (self, shape.first_mut())
            && *first % of == 0
        {
            *first /= of;
        }
        Some(shape)
    }

    /// Copies the values into a tensor of their shape.
    pub(super) fn read_into(&self, checkpoint: &Checkpoint, target: &Tensor) -> Result<()> {
        let values = match self {
            Self::Whole(name) => return checkpoint.read_into(name, target),
            Self::Part { name, index, of } => {
                let whole = checkpoint.tensor(name)?;
                let length = whole.size().first().copied().unwrap_or(0) / of;
                whole.f_narrow(0, index * length, length)?
            }
            Self::WeightNorm { magnitude, direction } => {
                normed(&checkpoint.tensor(magnitude)?, &checkpoint.tensor(direction)?)?
            }
        };
        target.shallow_clone().f_copy_(&values)?;
        Ok(())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(name) => f.write_str(name),
            Self::Part { name, index, of } => write!(f, "part {index} of {of} of {name}"),
            Self::WeightNorm { magnitude, direction } => write!(f, "{direction} with {magnitude}"),
        }
    }
}

/// In f32 at least, as half precision has too few digits for a sum of squares; in place of the direction, as it may be large.
fn normed(magnitude: &Tensor, direction: &Tensor) -> Result<Tensor> {
    let kind = if direction.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let (magnitude, mut direction) = (magnitude.f_to_kind(kind)?, direction.f_to_kind(kind)?);
    let sizes = magnitude.size();
    let axes: Vec<i64> = (0..).zip(&sizes).filter(|(_, size)| **size == 1).map(|(axis, _)| axis).collect();
    // No axis means every axis to libtorch.
    let norm = match axes.is_empty() {
        true => direction.f_abs()?,
        false => direction.f_norm_scalaropt_dim(2.0, axes.as_slice(), true)?,
    };
    Ok(direction.f_mul_(&magnitude.f_div(&norm)?)?)
}

/// Replaces each pair of halves by the weight they stand for, unless the model itself has the halves. A half without its
/// partner, or one that does not fit it, stays what it is, and is reported as such.
pub(super) fn fold_weight_norm(
    pairs: Vec<(String, Source)>,
    checkpoint: &Checkpoint,
    is_in_model: impl Fn(&str) -> bool,
) -> Vec<(String, Source)> {
    let mut owners: BTreeMap<String, [Vec<usize>; 2]> = BTreeMap::new();
    for (place, (name, _)) in pairs.iter().enumerate() {
        for (half, spellings) in [MAGNITUDE, DIRECTION].into_iter().enumerate() {
            let owner = spellings.into_iter().find_map(|spelling| name.strip_suffix(spelling));
            if let Some(owner) = owner.filter(|owner| owner.is_empty() || owner.ends_with('.')) {
                owners.entry(owner.to_owned()).or_default()[half].push(place);
            }
        }
    }
    let mut folded = Vec::new();
    let mut gone = vec![false; pairs.len()];
    for (owner, halves) in owners {
        let ([g], [v]) = (halves[0].as_slice(), halves[1].as_slice()) else { continue };
        let weight = format!("{owner}weight");
        let (Source::Whole(magnitude), Source::Whole(direction)) = (&pairs[*g].1, &pairs[*v].1) else {
            continue;
        };
        if is_in_model(&weight) && fits(checkpoint, magnitude, direction) {
            (gone[*g], gone[*v]) = (true, true);
            let (magnitude, direction) = (magnitude.clone(), direction.clone());
            folded.push((weight, Source::WeightNorm { magnitude, direction }));
        }
    }
    let kept = pairs.into_iter().zip(gone).filter(|(_, gone)| !gone).map(|(pair, _)| pair);
    kept.chain(folded).collect()
}

/// Whether both halves are of floating point and the magnitude has, along every axis, size 1 or that of the direction.
fn fits(checkpoint: &Checkpoint, magnitude: &str, direction: &str) -> bool {
    let is_float = |name| checkpoint.info(name).is_some_and(|info| super::is_float(info.kind));
    let (Some(g), Some(v)) = (checkpoint.shape(magnitude), checkpoint.shape(direction)) else { return false };
    let along = |(g, v): (&i64, &i64)| *g == 1 || g == v;
    is_float(magnitude) && is_float(direction) && g.len() == v.len() && g.iter().zip(&v).all(along)
}
