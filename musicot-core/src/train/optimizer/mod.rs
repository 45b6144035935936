//! AdamW (Loshchilov and Hutter, 2019) and Muon over one flat buffer.
//!
//! All trainable parameters are moved into one contiguous tensor of which they become views, so that a step is a dozen
//! operations however many parameters there are (with Muon, a few dozen for each shape of matrix), and the state is three tensors that can be
//! saved and restored exactly. On the CPU AdamW's operations go through it piece by piece, so that what one leaves in the caches the next finds there.

mod muon;

use tch::{Device, Kind, Tensor};

use super::{Method, TrainConfig};
use crate::{Error, ParamStore, Result, tensor};

/// Keeps AdamW's step finite where a gradient has always been zero (the value of the paper).
const EPSILON: f64 = 1e-8;

/// Values that AdamW takes at once on the CPU. Larger results would also be memory that the system hands out, page by page, at every step anew.
const PIECE: i64 = 1 << 17;

/// The optimiser and the moving average of the weights.
pub struct Optimizer {
    names: Vec<String>,
    params: Vec<Tensor>,
    weights: Tensor,
    /// Sum over the micro-batches of a step.
    gradient: Tensor,
    /// Micro-batches in it.
    summed: u32,
    /// Mean of the gradients.
    mean: Tensor,
    /// Mean of the squared gradients of what follows the stacks.
    square: Tensor,
    ema: Option<Tensor>,
    /// What Muon updates: the first values, in stacks of matrices of one shape.
    stacks: Vec<Stack>,
    /// The first values, which belong to matrices and are decayed.
    decayed: i64,
}

/// Matrices of one shape, one after another in the flat buffer.
struct Stack {
    start: i64,
    /// `[count, rows, columns]`
    shape: [i64; 3],
}

/// Where a parameter stands in the flat buffer: stacks first, then what else is decayed, then the rest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Rows and columns.
    Stack(i64, i64),
    Matrix,
    Vector,
}

impl Optimizer {
    /// Moves the trainable parameters of a store into a flat buffer.
    ///
    /// # Errors
    /// [`Error::Input`] when there are none.
    pub fn new(store: &ParamStore, method: Method, with_ema: bool) -> Result<Self> {
        let named = store.trainable();
        if named.is_empty() {
            return Err(Error::input("model", "has no trainable parameters"));
        }
        let place = |name: &str, tensor: &Tensor| match (method, tensor.size().as_slice()) {
            (Method::Muon, &[rows, columns]) if rows.min(columns) > 1 && !store.is_table(name) => {
                Place::Stack(rows, columns)
            }
            _ if is_matrix(tensor) => Place::Matrix,
            _ => Place::Vector,
        };
        let mut placed: Vec<(Place, String, Tensor)> =
            named.into_iter().map(|(name, tensor)| (place(&name, &tensor), name, tensor)).collect();
        placed.sort_by(|one, other| one.0.cmp(&other.0));
        let stacks = stacks(&placed);
        let decayed = placed.iter().filter(|(place, ..)| *place != Place::Vector);
        let decayed = decayed.map(|(.., tensor)| tensor.numel() as i64).sum();
        let (names, mut params): (Vec<_>, Vec<_>) =
            placed.into_iter().map(|(_, name, tensor)| (name, tensor)).unzip();
        let weights = flatten(&params)?;
        let mut offset = 0;
        for param in &mut params {
            let count = param.numel() as i64;
            param.f_set_data(&weights.f_narrow(0, offset, count)?.f_view(param.size().as_slice())?)?;
            offset += count;
        }
        let ema = if with_ema { Some(tensor::copy(&weights)?) } else { None };
        let (gradient, mean) = (weights.f_zeros_like()?, weights.f_zeros_like()?);
        let stacked: i64 = stacks.iter().map(Stack::numel).sum();
        let square = mean.f_narrow(0, stacked, offset - stacked)?.f_zeros_like()?;
        Ok(Self { names, params, weights, gradient, summed: 0, mean, square, ema, stacks, decayed })
    }

    /// Adds the gradient of `loss`, one value, to what the next [`Optimizer::step`] goes by. The graph below the loss is given back; `grad` of the parameters
    /// stays as it is.
    ///
    /// # Errors
    /// [`Error::Input`] for a loss of more than one value, or one without a graph.
    pub fn backward(&mut self, loss: &Tensor) -> Result<()> {
        // tch hands such a loss to libtorch's engine unchecked, which would end the process.
        if loss.numel() != 1 || !loss.requires_grad() {
            return Err(Error::input("loss", "expected one value that depends on a parameter"));
        }
        let gradients = Tensor::f_run_backward(&[loss], &self.params, false, false)?;
        let mut offset = 0;
        for (param, gradient) in self.params.iter().zip(gradients) {
            let count = param.numel() as i64;
            let mut sum = self.gradient.f_narrow(0, offset, count)?;
            offset += count;
            match (gradient.defined(), self.summed) {
                (true, 0) => sum.f_copy_(&gradient.f_reshape([-1])?)?,
                (true, _) => drop(sum.f_add_(&gradient.f_reshape([-1])?)?),
                // The loss does not depend on this one.
                (false, 0) => drop(sum.f_zero_()?),
                (false, _) => {}
            }
        }
        self.summed += 1;
        Ok(())
    }

    /// One update from the gradients since the last one, their sum divided by `config.accumulate`; `step` counts from 0. Returns the gradient's
    /// norm before clipping; when it is not finite, nothing is changed.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn step(&mut self, config: &TrainConfig, step: u64) -> Result<f64> {
        if std::mem::take(&mut self.summed) == 0 {
            let _ = self.gradient.f_zero_()?;
        }
        if config.accumulate > 1 {
            let _ = self.gradient.f_div_scalar_(f64::from(config.accumulate))?;
        }
        let norm = self.gradient.f_norm()?.f_double_value(&[])?;
        if !norm.is_finite() {
            return Ok(norm);
        }
        let is_clipped = config.clip_norm > 0.0 && norm > config.clip_norm;
        let clip = is_clipped.then_some(config.clip_norm / norm);
        for stack in &self.stacks {
            self.update_stack(stack, config, step, clip)?;
        }
        self.update_rest(config, step, clip)?;
        if let Some(ema) = &mut self.ema {
            // A young average follows closely, or the initial weights would linger.
            let decay = config.ema_decay.min((1.0 + step as f64) / (10.0 + step as f64));
            let _ = ema.f_lerp_(&self.weights, 1.0 - decay)?;
        }
        Ok(norm)
    }

    /// Muon, with Nesterov's momentum.
    fn update_stack(&self, stack: &Stack, config: &TrainConfig, step: u64, clip: Option<f64>) -> Result<()> {
        let rate = config.learning_rate_at(step);
        let (start, count) = (stack.start, stack.numel());
        self.clip_and_decay(start, count, clip, rate * config.weight_decay)?;
        let (gradient, mut mean) = (stack.of(&self.gradient)?, stack.of(&self.mean)?);
        let _ = mean.f_lerp_(&gradient, 1.0 - muon::MOMENTUM)?;
        let step = muon::step_of(&gradient.f_lerp(&mean, muon::MOMENTUM)?)?;
        let _ = stack.of(&self.weights)?.f_sub_(&step.f_mul_scalar(rate)?)?;
        Ok(())
    }

    /// Scales the gradient of some values by `clip`, and takes the share `decay` from their weights as far as these are decayed: piece by piece, where both
    /// are read next.
    fn clip_and_decay(&self, start: i64, count: i64, clip: Option<f64>, decay: f64) -> Result<()> {
        if let Some(factor) = clip {
            let _ = self.gradient.f_narrow(0, start, count)?.f_mul_scalar_(factor)?;
        }
        let decayed = (self.decayed - start).clamp(0, count);
        let _ = self.weights.f_narrow(0, start, decayed)?.f_mul_scalar_(1.0 - decay)?;
        Ok(())
    }

    /// AdamW, of what follows the stacks.
    fn update_rest(&self, config: &TrainConfig, step: u64, clip: Option<f64>) -> Result<()> {
        let decay = config.learning_rate_at(step) * config.weight_decay;
        let (rest, first) = (self.square.numel() as i64, self.stacks.iter().map(Stack::numel).sum::<i64>());
        let piece = if self.square.device() == Device::Cpu { PIECE } else { rest.max(1) };
        let scratch = self.square.f_narrow(0, 0, piece.min(rest))?.f_empty_like()?;
        let mut start = 0;
        while start < rest {
            let count = piece.min(rest - start);
            self.clip_and_decay(first + start, count, clip, decay)?;
            let of = |tensor: &Tensor| tensor.f_narrow(0, first + start, count);
            let square = self.square.f_narrow(0, start, count)?;
            let means = (of(&self.mean)?, square);
            adam(
                of(&self.weights)?,
                &of(&self.gradient)?,
                means,
                scratch.f_narrow(0, 0, count)?,
                (config, step),
            )?;
            start += count;
        }
        Ok(())
    }

    /// The state to save: flat means and squares, and the average of the weights where it is kept.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = vec![
            ("mean".to_owned(), self.mean.shallow_clone()),
            ("square".to_owned(), self.square.shallow_clone()),
        ];
        if let Some(ema) = &self.ema {
            state.push(("ema".to_owned(), ema.shallow_clone()));
        }
        state
    }

    /// Puts the average of the weights in the place of the weights (nothing happens without an average). Call it again to swap back.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn swap_ema(&mut self) -> Result<()> {
        if let Some(ema) = &mut self.ema {
            let average = tensor::copy(ema)?;
            ema.f_copy_(&self.weights)?;
            self.weights.f_copy_(&average)?;
        }
        Ok(())
    }

    /// Names of the optimised parameters, in the order of the flat buffer.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl Stack {
    fn numel(&self) -> i64 {
        self.shape.iter().product()
    }

    /// Its part of a flat buffer, as a view.
    fn of(&self, flat: &Tensor) -> Result<Tensor> {
        Ok(flat.f_narrow(0, self.start, self.numel())?.f_view(self.shape)?)
    }
}

/// The stacks of sorted parameters.
fn stacks(placed: &[(Place, String, Tensor)]) -> Vec<Stack> {
    let mut stacks: Vec<Stack> = Vec::new();
    for (place, ..) in placed {
        let &Place::Stack(rows, columns) = place else { break };
        match stacks.last_mut() {
            Some(last) if last.shape[1..] == [rows, columns] => last.shape[0] += 1,
            last => {
                let start = last.map_or(0, |stack| stack.start + stack.numel());
                stacks.push(Stack { start, shape: [1, rows, columns] });
            }
        }
    }
    stacks
}

/// Whether there is more than one value per row; a weight-normed convolution's gains `[outputs, 1, 1]` are a vector.
fn is_matrix(tensor: &Tensor) -> bool {
    tensor.size().first().is_some_and(|rows| tensor.numel() as i64 > *rows)
}

fn flatten(tensors: &[Tensor]) -> Result<Tensor> {
    let flat: Vec<Tensor> =
        tensors.iter().map(|t| t.f_detach()?.f_reshape([-1])).collect::<Result<_, _>>()?;
    Ok(Tensor::f_cat(&flat, 0)?.f_to_kind(Kind::Float)?)
}

/// AdamW's change of some weights, views of flat buffers like their means. What `scratch` holds is lost: it saves allocations.
fn adam(
    mut weights: Tensor,
    gradient: &Tensor,
    (mut mean, mut square): (Tensor, Tensor),
    mut scratch: Tensor,
    (config, step): (&TrainConfig, u64),
) -> Result<()> {
    let count = (step + 1) as f64;
    let correction = (1.0 - config.beta1.powf(count), 1.0 - config.beta2.powf(count));
    let _ = mean.f_lerp_(gradient, 1.0 - config.beta1)?;
    scratch.f_copy_(gradient)?;
    let _ = square.f_lerp_(&scratch.f_square_()?, 1.0 - config.beta2)?;
    scratch.f_copy_(&square)?;
    let scale = scratch.f_div_scalar_(correction.1)?.f_sqrt_()?.f_add_scalar_(EPSILON)?;
    let change =
        mean.f_div_out(&scale, &scale)?.f_mul_scalar_(config.learning_rate_at(step) / correction.0)?;
    let _ = weights.f_sub_(&change)?;
    Ok(())
}
