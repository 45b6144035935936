//! Time and text as shifts, scales and gates.

use musicot_core::nn::Linear;
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{Init, Scope};

use crate::{Condition, DitConfig, Result};

/// Slowest and fastest sine of the time features differ by this factor; the fastest turns once in about 0.006.
const PERIODS: f64 = 10_000.0;
const TIME_SCALE: f64 = 1000.0;

/// Time and text to modulation.
#[derive(Debug)]
pub(super) struct GlobalCondition {
    time_in: Linear,
    time_out: Linear,
    text: Linear,
    text_null: Tensor,
    blocks: Linear,
    last: Linear,
    /// `[time_dim / 2]`
    frequencies: Tensor,
    width: i64,
}

/// Modulation of a batch.
#[derive(Debug)]
pub(super) struct Global {
    /// `[batch, 6, width]`, shared by all blocks.
    pub shared: Tensor,
    /// Shift and scale before the output, each `[batch, 1, width]`.
    pub last: [Tensor; 2],
}

impl GlobalCondition {
    pub(super) fn new(scope: &Scope, config: &DitConfig) -> Result<Self> {
        let (width, half) = (config.width, config.time_dim / 2);
        let zero = |name: &str, outputs: i64| {
            Linear::with_init(&scope.sub(name), width, outputs, true, Init::Const(0.0))
        };
        let frequencies: Vec<f32> =
            (0..half).map(|i| (TIME_SCALE * PERIODS.powf(-(i as f64) / half as f64)) as f32).collect();
        Ok(Self {
            time_in: Linear::new(&scope.sub("time_in"), config.time_dim, width, true)?,
            time_out: Linear::new(&scope.sub("time_out"), width, width, true)?,
            text: Linear::new(&scope.sub("text"), config.text_dim, width, true)?,
            text_null: scope.param("text_null", &[width], Init::Const(0.0))?,
            blocks: zero("blocks", 6 * width)?,
            last: zero("last", 2 * width)?,
            frequencies: Tensor::f_from_slice(&frequencies)?.f_to_device(scope.device())?,
            width,
        })
    }

    /// `time [batch]`.
    pub(super) fn forward(&self, time: &Tensor, condition: &Condition) -> Result<Global> {
        let angles = time.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?.f_mul(&self.frequencies)?;
        let features = Tensor::f_cat(&[angles.f_cos()?, angles.f_sin()?], -1)?;
        let time = self.time_out.forward(&self.time_in.forward(&features)?.f_silu()?)?;
        let text = match &condition.text {
            None => self.text_null.shallow_clone(),
            Some(text) => {
                let text = self.text.forward(&text.f_to_kind(Kind::Float)?)?;
                keep_or(text, condition.keep.text.as_ref(), &self.text_null)?
            }
        };
        let global = time.f_add(&text)?.f_silu()?;
        let last = self.last.forward(&global)?.f_reshape([-1, 2, self.width])?;
        Ok(Global {
            shared: self.blocks.forward(&global)?.f_reshape([-1, 6, self.width])?,
            last: [last.f_narrow(1, 0, 1)?, last.f_narrow(1, 1, 1)?],
        })
    }
}

/// `x [batch, .., width]` for the items that keep it, the null `[width]` for the others.
pub(super) fn keep_or(x: Tensor, keep: Option<&Tensor>, null: &Tensor) -> Result<Tensor> {
    let Some(keep) = keep else { return Ok(x) };
    let mut shape = vec![1; x.dim()];
    shape[0] = keep.size()[0];
    Ok(x.f_where_self(&keep.f_to_device(x.device())?.f_reshape(shape)?, null)?)
}

/// Layer normalisation without weights of its own: the modulation brings them.
pub(super) fn normalise(x: &Tensor) -> Result<Tensor> {
    let width = x.size().last().copied().unwrap_or(0);
    Ok(x.f_layer_norm([width], None::<Tensor>, None::<Tensor>, 1e-6, true)?)
}

/// `x (1 + scale) + shift`; `x [batch, frames, width]`, the others `[batch, 1, width]`.
pub(super) fn modulate(x: &Tensor, shift: &Tensor, scale: &Tensor) -> Result<Tensor> {
    Ok(shift.f_addcmul(x, &scale.f_add_scalar(1.0)?)?)
}
