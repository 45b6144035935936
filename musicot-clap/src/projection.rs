//! From a tower to the joint space.

use musicot_core::nn::Linear;
use musicot_core::tch::Tensor;
use musicot_core::{Result, Scope};

use crate::similarity::unit;

/// `linear1`, ReLU, `linear2`, then length 1.
#[derive(Debug)]
pub(crate) struct Projection {
    linear1: Linear,
    linear2: Linear,
}

impl Projection {
    pub(crate) fn new(scope: &Scope, inputs: i64, dim: i64) -> Result<Self> {
        Ok(Self {
            linear1: Linear::new(&scope.sub("linear1"), inputs, dim, true)?,
            linear2: Linear::new(&scope.sub("linear2"), dim, dim, true)?,
        })
    }

    /// `[batch, inputs] -> [batch, dim]`.
    pub(crate) fn forward(&self, pooled: &Tensor) -> Result<Tensor> {
        unit(&self.linear2.forward(&self.linear1.forward(pooled)?.f_relu()?)?)
    }
}
