//! Rotary position embeddings (Su et al., 2021), in the split-halves layout of LLaMA.

use tch::{Device, Kind, Tensor};

use crate::{Error, Result, shape};

/// Frequencies of rotary embeddings.
#[derive(Debug)]
pub struct Rope {
    inverse_frequencies: Tensor,
}

/// Cosines and sines for some positions, each `[positions, rotated dims]`, or `[batch, 1, positions, rotated dims]` where rows differ.
#[derive(Debug)]
pub struct RopeTable {
    cos: Tensor,
    /// Negative in the first half: what the second half adds to it is subtracted.
    sin: Tensor,
}

impl Rope {
    /// Rotates the first `dims` (even) of each head; frequency i is `theta^(-2i / dims)`.
    ///
    /// # Errors
    /// [`Error::Config`] when `dims` is odd or not positive, or `theta` is not above 0.
    pub fn new(dims: i64, theta: f64, device: Device) -> Result<Self> {
        if dims <= 0 || dims % 2 != 0 {
            return Err(Error::config("head_dim", format!("expected a positive even number, got {dims}")));
        }
        if !(theta.is_finite() && theta > 0.0) {
            return Err(Error::config("rope_theta", format!("expected a positive number, got {theta}")));
        }
        let frequencies: Vec<f32> =
            (0..dims / 2).map(|i| theta.powf(-2.0 * i as f64 / dims as f64) as f32).collect();
        Self::from_frequencies(&frequencies, device)
    }

    /// Rotates the first `2 * frequencies.len()` dims of each head by these angles, radians per position: those of scaled embeddings.
    ///
    /// # Errors
    /// [`Error::Input`] when there are none, or one is not finite.
    pub fn from_frequencies(frequencies: &[f32], device: Device) -> Result<Self> {
        if frequencies.is_empty() || frequencies.iter().any(|frequency| !frequency.is_finite()) {
            return Err(Error::input("rotary frequencies", "expected at least one, and finite ones only"));
        }
        Ok(Self { inverse_frequencies: Tensor::f_from_slice(frequencies)?.f_to_device(device)? })
    }

    /// The table for integer or fractional positions, `[positions]` for all rows of a batch or `[batch, positions]` for each of them.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of axes; libtorch could not allocate.
    pub fn table(&self, positions: &Tensor) -> Result<RopeTable> {
        let positions = match positions.dim() {
            1 => positions.shallow_clone(),
            // An axis for the heads.
            2 => positions.f_unsqueeze(1)?,
            _ => {
                let expected = "[positions] or [batch, positions]".to_owned();
                return Err(Error::Shape {
                    what: "positions".to_owned(),
                    expected,
                    actual: positions.size(),
                });
            }
        };
        let positions = positions.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?;
        let angles = positions.f_mul(&self.inverse_frequencies)?;
        let (cos, sin) = (angles.f_cos()?, angles.f_sin()?);
        Ok(RopeTable {
            cos: Tensor::f_cat(&[&cos, &cos], -1)?,
            sin: Tensor::f_cat(&[&sin.f_neg()?, &sin], -1)?,
        })
    }

    /// The table for positions `start..start + count`.
    ///
    /// # Errors
    /// [`Error::Input`] for a negative count; libtorch could not allocate.
    pub fn range(&self, start: i64, count: i64) -> Result<RopeTable> {
        shape::count("positions", &[count])?;
        let ones = Tensor::f_ones([count], (Kind::Int64, self.inverse_frequencies.device()))?;
        // Not `f_arange`: tch panics when a function that takes a scalar fails.
        self.table(&ones.f_cumsum(0, Kind::Int64)?.f_add_scalar(start.saturating_sub(1))?)
    }
}

impl RopeTable {
    /// Rotates `[.., positions, head_dim]` (`[batch, heads, positions, head_dim]` in attention, always so where rows differ); dims
    /// beyond the table's pass unchanged.
    ///
    /// # Errors
    /// [`Error::Shape`] for another batch or number of positions, or narrower heads.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (dims, rest) = self.split_width(x)?;
        let (cos, sin) = (self.cos.f_to_kind(x.kind())?, self.sin.f_to_kind(x.kind())?);
        let rotated = x.f_narrow(-1, 0, dims)?;
        let low = rotated.f_narrow(-1, 0, dims / 2)?;
        let high = rotated.f_narrow(-1, dims / 2, dims / 2)?;
        let swapped = Tensor::f_cat(&[&high, &low], -1)?;
        let rotated = rotated.f_mul(&cos)?.f_add(&swapped.f_mul(&sin)?)?;
        if rest == 0 {
            return Ok(rotated);
        }
        Ok(Tensor::f_cat(&[&rotated, &x.f_narrow(-1, dims, rest)?], -1)?)
    }

    /// Dims that are turned, and those that are not.
    fn split_width(&self, x: &Tensor) -> Result<(i64, i64)> {
        let (table, size) = (self.cos.size(), x.size());
        let (rows, length, dims) = match table.as_slice() {
            [rows, _, length, dims] => (Some(*rows), *length, *dims),
            _ => self.cos.size2().map(|(length, dims)| (None, length, dims))?,
        };
        let width = match (rows, size.as_slice()) {
            (None, [.., positions, width]) if *positions == length => *width,
            (Some(rows), [batch, _, positions, width]) if (*batch, *positions) == (rows, length) => *width,
            _ => 0,
        };
        if width >= dims {
            return Ok((dims, width - dims));
        }
        let leading = rows.map_or_else(|| "..".to_owned(), |rows| format!("{rows}, heads"));
        let expected = format!("[{leading}, {length} positions, at least {dims}]");
        Err(Error::Shape { what: "rotated heads".to_owned(), expected, actual: size })
    }
}
