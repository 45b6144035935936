//! Root-mean-square normalisation (Zhang and Sennrich, 2019).

use crate::error::{Error, Result, expect_len};
use crate::isa::{Isa, MulAdd, Work};
use crate::lanes::sum_of;

/// `x / sqrt(mean(x^2) + eps) * weight` for each row of `x [rows, weight.len()]`, into `y` of the same shape.
///
/// # Errors
/// [`Error::Shape`].
pub fn rms_norm(isa: Isa, x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) -> Result<()> {
    if weight.is_empty() || !x.len().is_multiple_of(weight.len()) {
        return Err(Error::shape("activations", format!("a multiple of {}", weight.len()), x.len()));
    }
    expect_len("results", x.len(), y.len())?;
    isa.run(Norm { x, weight, eps, y });
    Ok(())
}

struct Norm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
}

impl Work for Norm<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let width = self.weight.len();
        for (x, y) in self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width)) {
            let squares = sum_of::<M>(x, |x, sum| M::mul_add(x, x, sum));
            let scale = 1.0 / (squares / width as f32 + self.eps).sqrt();
            for ((y, x), weight) in y.iter_mut().zip(x).zip(self.weight) {
                *y = x * scale * weight;
            }
        }
    }
}
