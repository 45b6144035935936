//! Batch normalisation by stored statistics.

use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Init, Result, Scope};

/// Epsilon of every batch norm of the published models.
const EPS: f64 = 1e-5;

/// Always uses its stored statistics; training sets them once from the data (our choice: it makes the loss a function of each item alone).
#[derive(Debug)]
pub(super) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
}

impl BatchNorm {
    pub(super) fn new(scope: &Scope, channels: i64) -> Result<Self> {
        let options = (Kind::Float, scope.device());
        // Only counts batches in training elsewhere; kept so that the set of tensors is the published one.
        let _ = scope
            .buffer("num_batches_tracked", Tensor::f_zeros([0_i64; 0], (Kind::Int64, scope.device()))?)?;
        Ok(Self {
            weight: scope.param("weight", &[channels], Init::Const(1.0))?,
            bias: scope.param("bias", &[channels], Init::Const(0.0))?,
            mean: scope.buffer("running_mean", Tensor::f_zeros([channels], options)?)?,
            variance: scope.buffer("running_var", Tensor::f_ones([channels], options)?)?,
        })
    }

    /// `[batch, channels, ..]` to the same; computed in f32 at least, as decibels have too few digits in half precision.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kind = if x.kind() == Kind::Double { Kind::Double } else { Kind::Float };
        let to = |tensor: &Tensor| tensor.f_to_kind(kind);
        let normed = to(x)?.f_batch_norm(
            Some(&to(&self.weight)?),
            Some(&to(&self.bias)?),
            Some(&to(&self.mean)?),
            Some(&to(&self.variance)?),
            false,
            0.0,
            EPS,
            false,
        )?;
        Ok(normed.f_to_kind(x.kind())?)
    }

    #[cfg(feature = "train")]
    pub(super) fn set_statistics(&mut self, mean: &Tensor, variance: &Tensor) -> Result<()> {
        self.mean.f_copy_(mean)?;
        Ok(self.variance.f_copy_(variance)?)
    }
}

#[cfg(test)]
mod tests {
    use musicot_core::ParamStore;
    use musicot_core::tch::Device;

    use super::*;

    #[test]
    fn normalises_the_second_axis() {
        let store = ParamStore::new(Device::Cpu, 0);
        let norm = BatchNorm::new(&store.root(), 2).unwrap();
        let set = |name: &str, values: &[f32]| {
            let tensor = store.named().into_iter().find(|(other, _)| other == name).unwrap().1;
            tensor.detach().copy_(&Tensor::from_slice(values));
        };
        set("running_mean", &[1.0, -2.0]);
        set("running_var", &[4.0, 0.25]);
        set("weight", &[1.0, 3.0]);
        set("bias", &[0.5, 0.0]);
        let x = Tensor::from_slice(&[3_f32, 1.0, -2.0, -1.5]).reshape([1, 2, 2]);
        let got = norm.forward(&x).unwrap().detach().reshape([-1]);
        let expected = [1.5, 0.5, 0.0, 3.0];
        for (i, expected) in (0..).zip(expected) {
            assert!((got.double_value(&[i]) - expected).abs() < 1e-4, "{got}");
        }
    }
}
