//! Rotary position embeddings (Su et al., 2021), in the split-halves layout of LLaMA.

use tch::{Device, Kind, Tensor};

use crate::{Error, Result, shape};

/// Frequencies of rotary embeddings.
#[derive(Debug)]
pub struct Rope {
    inverse_frequencies: Tensor,
}

/// Cosines and sines for some positions, each `[positions, rotated dims]`.
#[derive(Debug)]
pub struct RopeTable {
    cos: Tensor,
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
        Ok(Self { inverse_frequencies: Tensor::f_from_slice(&frequencies)?.f_to_device(device)? })
    }

    /// The table for integer or fractional positions `[positions]`.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn table(&self, positions: &Tensor) -> Result<RopeTable> {
        let positions = positions.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?;
        let angles = positions.f_mul(&self.inverse_frequencies)?;
        let angles = Tensor::f_cat(&[&angles, &angles], -1)?;
        Ok(RopeTable { cos: angles.f_cos()?, sin: angles.f_sin()? })
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
    /// Rotates `[.., positions, head_dim]` (`[batch, heads, positions, head_dim]` in attention); dims beyond the table's pass unchanged.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of positions or narrower heads.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (positions, dims) = self.cos.size2()?;
        let size = x.size();
        let width = match size.as_slice() {
            [.., length, width] if *length == positions && *width >= dims => *width,
            _ => {
                let expected = format!("[.., {positions} positions, at least {dims}]");
                return Err(Error::Shape { what: "rotated heads".to_owned(), expected, actual: size });
            }
        };
        let rest = width - dims;
        let (cos, sin) = (self.cos.f_to_kind(x.kind())?, self.sin.f_to_kind(x.kind())?);
        let rotated = x.f_narrow(-1, 0, dims)?;
        let low = rotated.f_narrow(-1, 0, dims / 2)?;
        let high = rotated.f_narrow(-1, dims / 2, dims / 2)?;
        let turned = Tensor::f_cat(&[&high.f_neg()?, &low], -1)?;
        let rotated = rotated.f_mul(&cos)?.f_add(&turned.f_mul(&sin)?)?;
        if rest == 0 {
            return Ok(rotated);
        }
        Ok(Tensor::f_cat(&[&rotated, &x.f_narrow(-1, dims, rest)?], -1)?)
    }
}
