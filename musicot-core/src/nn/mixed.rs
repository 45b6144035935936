//! Mixed precision where libtorch's autocast, as tch reaches it, does nothing: on CPUs.

use std::cell::Cell;

use tch::{Kind, Tensor};

use crate::Result;

thread_local! {
    static IS_MIXED: Cell<bool> = const { Cell::new(false) };
}

/// Turns mixed precision back to what it was, also when the work inside panics.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        IS_MIXED.set(self.0);
    }
}

/// Runs `work` with the affine maps of this thread ([`super::Linear`]) in bfloat16 where their weights are f32: weights and inputs are rounded on
/// the way in, results stay in bfloat16, gradients reach the f32 weights. As under autocast, losses should be taken in f32.
///
/// A gain on CPUs with instructions for bfloat16 (x86: `avx512_bf16`, `amx_bf16`), a loss on others.
pub fn mixed_precision<R>(work: impl FnOnce() -> R) -> R {
    let _restore = Restore(IS_MIXED.replace(true));
    work()
}

/// `x W^T + b` over the last axis, `weight [outputs, inputs]`, in bfloat16 within [`mixed_precision`].
///
/// # Errors
/// libtorch refuses a last axis of another size.
pub fn affine(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    if !IS_MIXED.get() || weight.kind() != Kind::Float {
        return Ok(x.f_linear(weight, bias)?);
    }
    let round = |tensor: &Tensor| tensor.f_to_kind(Kind::BFloat16);
    Ok(round(x)?.f_linear(&round(weight)?, bias.map(round).transpose()?.as_ref())?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn products_are_rounded_inside_only_and_gradients_are_f32() {
        let weight = Tensor::randn([3, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let x = Tensor::randn([2, 4], (Kind::Float, Device::Cpu));
        let exact = affine(&x, &weight, None).unwrap();
        let rounded = mixed_precision(|| affine(&x, &weight, None)).unwrap();
        assert_eq!((exact.kind(), rounded.kind()), (Kind::Float, Kind::BFloat16));
        let error = (&exact - rounded.to_kind(Kind::Float)).abs().max().double_value(&[]);
        assert!(error > 0.0 && error < 0.1, "{error}");
        rounded.to_kind(Kind::Float).square().sum(Kind::Float).backward();
        assert_eq!(weight.grad().kind(), Kind::Float);
        assert!(weight.grad().abs().sum(Kind::Float).double_value(&[]) > 0.0);
    }

    #[test]
    fn a_panic_inside_leaves_nothing_behind() {
        let outcome = std::panic::catch_unwind(|| mixed_precision(|| panic!("inside")));
        assert!(outcome.is_err() && !IS_MIXED.get());
        mixed_precision(|| {
            mixed_precision(|| ());
            assert!(IS_MIXED.get());
        });
    }
}
