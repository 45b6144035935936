//! Codebooks that follow the vectors they quantise.

use musicot_core::tch::{self, Kind, Reduction, Tensor};
use musicot_core::train::Position;
use musicot_core::{CounterRng, Error, Result, Scope, shape, tensor};

use super::LearnConfig;
use super::kmeans::{Totals, kmeans, lloyd, means};
use crate::ResidualVq;
use crate::quantizer::with_last;
use crate::search::nearest;

/// Shares below this are rounding residue, which has no mean.
const SHARE_FLOOR: f64 = 1e-9;

/// A revived codeword starts with this many times the share below which it would be dead, so that it has time to be chosen.
const REVIVED_SHARE: f64 = 2.0;

/// What a training step gets from the quantiser.
#[derive(Debug)]
pub struct Quantized {
    /// Decoded vectors `[.., dim]`, f32; gradients pass straight through to the input.
    pub quantized: Tensor,
    /// Codes `[.., levels used]`, i64.
    pub codes: Tensor,
    /// Mean squared distance per component between each level's input and its codeword, averaged over the levels used; its gradient moves
    /// the input towards the codewords. A scalar, to be weighted by the caller.
    pub commitment_loss: Tensor,
}

/// Learns the codebooks of a [`ResidualVq`] while another model trains.
///
/// Per step: [`RvqLearner::forward`] for each micro-batch, then [`RvqLearner::update`] after the optimiser. The first forward starts the
/// codebooks by k-means on its vectors. The moving averages are buffers in a scope of the caller's choice (`started`,
/// `layers.N.share`, `layers.N.moment`), so that a training checkpoint holds them; put them beside the model, not inside it, and the
/// exported model does without.
///
/// ```
/// use musicot_rvq::core::{CounterRng, ParamStore, tch::Device, train::Position};
/// use musicot_rvq::{ResidualVq, RvqConfig, train::{LearnConfig, RvqLearner}};
/// let store = ParamStore::new(Device::Cpu, 0);
/// let config = RvqConfig { dim: 4, levels: 1, codebook_size: 8, ..Default::default() };
/// let rvq = ResidualVq::new(&store.root().sub("model.quantizer"), &config)?;
/// let mut learner = RvqLearner::new(&rvq, &store.root().sub("learner"), &LearnConfig::default())?;
///
/// let vectors = CounterRng::new(1).normal(0, &[2, 50, 4], Device::Cpu)?;
/// let at = Position { step: 0, micro: 0, accumulate: 1, rng: CounterRng::new(2) };
/// let out = learner.forward(&vectors, &at)?;
/// assert_eq!((out.quantized.size(), out.codes.size()), (vec![2, 50, 4], vec![2, 50, 1]));
/// learner.update(&at)?;
/// # Ok::<(), musicot_rvq::Error>(())
/// ```
pub struct RvqLearner {
    rvq: ResidualVq,
    config: LearnConfig,
    /// 1 once the codebooks have been started; a buffer, because a resumed run must not start them again.
    started: Tensor,
    levels: Vec<Level>,
}

/// The averages of one level. As shares and first moments of all vectors they do not depend on the size of a batch.
struct Level {
    /// Moving average of the share of vectors that chose each codeword, `[size]`.
    share: Tensor,
    /// Moving average of the sum of those vectors, as a share of all vectors, `[size, dim]`.
    moment: Tensor,
    pending: Option<Pending>,
}

/// What the micro-batches of a step have seen.
struct Pending {
    totals: Totals,
    rows: i64,
    /// Inputs of the last micro-batch `[rows, dim]`, from which dead codewords are revived.
    inputs: Tensor,
}

impl RvqLearner {
    /// A learner for the quantiser's own codebooks (it shares their memory), with its averages in `scope`.
    ///
    /// # Errors
    /// [`Error::Config`] for settings out of range; a name in `scope` is taken.
    pub fn new(rvq: &ResidualVq, scope: &Scope, config: &LearnConfig) -> Result<Self> {
        config.validate()?;
        let options = (Kind::Float, scope.device());
        let (size, dim) = (rvq.config().codebook_size as i64, rvq.config().dim as i64);
        let mut levels = Vec::new();
        for level in 0..rvq.config().levels {
            let scope = scope.sub("layers").sub(level);
            let share = scope.buffer("share", Tensor::f_zeros([size], options)?)?;
            let moment = scope.buffer("moment", Tensor::f_zeros([size, dim], options)?)?;
            levels.push(Level { share, moment, pending: None });
        }
        let started = scope.buffer("started", Tensor::f_zeros([1], (Kind::Int64, scope.device()))?)?;
        Ok(Self { rvq: rvq.handle(), config: config.clone(), started, levels })
    }

    /// Whether the codebooks have been started.
    ///
    /// # Errors
    /// libtorch could not read the buffer.
    pub fn is_started(&self) -> Result<bool> {
        Ok(self.started.f_int64_value(&[0])? != 0)
    }

    /// Starts the codebooks by k-means, level by level, on vectors `[.., dim]` (a random part of them when there are more than
    /// [`LearnConfig::start_vectors`]).
    ///
    /// # Errors
    /// [`Error::Input`] for no vectors or non-finite ones, [`Error::Shape`] for another last axis.
    pub fn start(&mut self, vectors: &Tensor, rng: CounterRng) -> Result<()> {
        shape::expect_finite("vectors", vectors)?;
        tch::no_grad(|| {
            let (rows, _) = self.rvq.rows(vectors)?;
            if rows.size()[0] == 0 {
                return Err(Error::input("vectors", "expected at least one to start codebooks from"));
            }
            let mut residual = pick(&rows, self.config.start_vectors, rng)?;
            let config = self.rvq.config().clone();
            for level in 0..config.levels {
                let rng = rng.stage("kmeans").item(level as u64);
                let iterations = self.config.start_iterations;
                let codebook = kmeans(&residual, config.codebook_size, iterations, rng, config.metric)?;
                residual = self.settle(level, &codebook, &residual)?;
            }
            let _ = self.started.f_fill_(1)?;
            Ok(())
        })
    }

    /// Moves the codewords to the exact means of the vectors `[.., dim]` that choose them, level by level, in `iterations` rounds
    /// from where they are: what a moving average only approaches. Then no level's mean residual on these vectors is above the one before.
    ///
    /// # Errors
    /// As for [`RvqLearner::start`].
    pub fn refit(&mut self, vectors: &Tensor, iterations: usize) -> Result<()> {
        shape::expect_finite("vectors", vectors)?;
        tch::no_grad(|| {
            let (mut residual, _) = self.rvq.rows(vectors)?;
            for level in 0..self.levels.len() {
                let from = self.rvq.codebooks()[level].shallow_clone();
                let codebook = lloyd(&residual, from, iterations, self.rvq.config().metric)?;
                residual = self.settle(level, &codebook, &residual)?;
            }
            Ok(())
        })
    }

    /// Quantises vectors `[.., dim]` and takes note of them for the next [`RvqLearner::update`]. One number of levels is drawn
    /// per micro-batch under quantiser dropout (our choice: SoundStream draws one per example).
    /// Vectors that hold NaN or infinity are quantised to something but never noted, so that one bad batch cannot ruin the codebooks.
    ///
    /// # Errors
    /// [`Error::Shape`] for another last axis; [`Error::Input`] for an empty first batch.
    pub fn forward(&mut self, vectors: &Tensor, at: &Position) -> Result<Quantized> {
        // Rounding to bfloat16 would send vectors to wrong codewords.
        tch::autocast(false, || self.forward_f32(vectors, at))
    }

    /// Moves the codebooks after the step's micro-batches. Returns how many dead codewords were revived.
    ///
    /// # Errors
    /// libtorch could not allocate.
    pub fn update(&mut self, at: &Position) -> Result<usize> {
        let rng = at.rng.stage("revival");
        tch::no_grad(|| {
            let mut revived = 0;
            for level in 0..self.levels.len() {
                if let Some(pending) = self.levels[level].pending.take() {
                    self.follow(level, &pending)?;
                    revived += self.revive(level, &pending.inputs, rng.item(level as u64), at.step)?;
                }
            }
            Ok(revived)
        })
    }

    fn forward_f32(&mut self, vectors: &Tensor, at: &Position) -> Result<Quantized> {
        let (rows, lead) = self.rvq.rows(vectors)?;
        let is_sound = rows.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0 && rows.size()[0] > 0;
        if is_sound && !self.is_started()? {
            self.start(&rows.f_detach()?, at.rng.stage("start"))?;
        }
        let (mut residual, mut decoded) = (rows.shallow_clone(), rows.f_detach()?.f_zeros_like()?);
        let (mut codes, mut losses) = (Vec::new(), Vec::new());
        for level in 0..self.depth(at) {
            let (input, codebook) = (residual.f_detach()?, &self.rvq.codebooks()[level]);
            let chosen = nearest(&input, codebook)?;
            let words = codebook.f_index_select(0, &chosen)?;
            losses.push(residual.f_mse_loss(&words, Reduction::Mean)?);
            residual = residual.f_sub(&words)?;
            decoded = decoded.f_add(&words)?;
            if is_sound {
                self.levels[level].note(input, &chosen)?;
            }
            codes.push(chosen);
        }
        let quantized = rows.f_add(&decoded.f_sub(&rows)?.f_detach()?)?;
        Ok(Quantized {
            quantized: quantized.f_reshape(with_last(&lead, self.rvq.config().dim))?,
            codes: Tensor::f_stack(&codes, 1)?.f_reshape(with_last(&lead, codes.len()))?,
            commitment_loss: Tensor::f_stack(&losses, 0)?.f_mean(Kind::Float)?,
        })
    }

    /// Levels used by a micro-batch.
    fn depth(&self, at: &Position) -> usize {
        let mut draws = at.rng.stage("quantizer dropout").at(at.index());
        let is_dropped = draws.uniform_f64() < self.config.dropout;
        if is_dropped { 1 + draws.below(self.levels.len()) } else { self.levels.len() }
    }

    /// Gives a level its codebook, and averages to match; returns what the level leaves over.
    fn settle(&mut self, level: usize, codebook: &Tensor, inputs: &Tensor) -> Result<Tensor> {
        let codes = nearest(inputs, codebook)?;
        let totals = Totals::of(inputs, &codes, codebook.size()[0])?;
        let rows = inputs.size()[0].max(1) as f64;
        self.rvq.codebooks()[level].shallow_clone().f_copy_(codebook)?;
        self.levels[level].share.f_copy_(&totals.counts.f_div_scalar(rows)?)?;
        self.levels[level].moment.f_copy_(&totals.sums.f_div_scalar(rows)?)?;
        Ok(inputs.f_sub(&codebook.f_index_select(0, &codes)?)?)
    }

    fn follow(&mut self, index: usize, pending: &Pending) -> Result<()> {
        let (level, weight) = (&mut self.levels[index], 1.0 - self.config.decay);
        let rows = pending.rows as f64;
        let _ = level.share.f_lerp_(&pending.totals.counts.f_div_scalar(rows)?, weight)?;
        let _ = level.moment.f_lerp_(&pending.totals.sums.f_div_scalar(rows)?, weight)?;
        let codebook = &self.rvq.codebooks()[index];
        let moved = means(codebook, &level.share, &level.moment, SHARE_FLOOR, self.rvq.config().metric)?;
        codebook.shallow_clone().f_copy_(&moved)?;
        Ok(())
    }

    /// Puts dead codewords onto random inputs of this step, each onto another.
    fn revive(&mut self, index: usize, inputs: &Tensor, rng: CounterRng, step: u64) -> Result<usize> {
        let level = &mut self.levels[index];
        let limit = self.config.dead_below / self.rvq.config().codebook_size as f64;
        let shares = tensor::to_vec(&level.share)?;
        let dead: Vec<i64> = (0_i64..)
            .zip(&shares)
            .filter(|(_, share)| f64::from(**share) < limit)
            .map(|(code, _)| code)
            .collect();
        let rows = inputs.size()[0] as usize;
        let revived = dead.len().min(rows);
        if revived == 0 {
            return Ok(0);
        }
        let from: Vec<i64> = rng.permutation(step, rows)[..revived].iter().map(|row| *row as i64).collect();
        let device = inputs.device();
        let dead = Tensor::f_from_slice(&dead[..revived])?.f_to_device(device)?;
        let words = inputs.f_index_select(0, &Tensor::f_from_slice(&from)?.f_to_device(device)?)?;
        let share = REVIVED_SHARE * limit;
        let _ = self.rvq.codebooks()[index].shallow_clone().f_index_copy_(0, &dead, &words)?;
        let _ = level.share.f_index_fill_(0, &dead, share)?;
        let _ = level.moment.f_index_copy_(0, &dead, &words.f_mul_scalar(share)?)?;
        Ok(revived)
    }
}

impl Level {
    /// Adds inputs `[rows, dim]` and the codes `[rows]` they chose to what the next update follows.
    fn note(&mut self, inputs: Tensor, codes: &Tensor) -> Result<()> {
        let mut totals = Totals::of(&inputs, codes, self.share.size()[0])?;
        let mut rows = inputs.size()[0];
        if let Some(before) = self.pending.take() {
            totals.counts = totals.counts.f_add(&before.totals.counts)?;
            totals.sums = totals.sums.f_add(&before.totals.sums)?;
            rows += before.rows;
        }
        self.pending = Some(Pending { totals, rows, inputs });
        Ok(())
    }
}

/// At most `limit` random rows.
fn pick(rows: &Tensor, limit: usize, rng: CounterRng) -> Result<Tensor> {
    let count = rows.size()[0] as usize;
    if count <= limit {
        return Ok(rows.shallow_clone());
    }
    let order = rng.stage("pick").permutation(0, count);
    let chosen: Vec<i64> = order[..limit].iter().map(|row| *row as i64).collect();
    Ok(rows.f_index_select(0, &Tensor::f_from_slice(&chosen)?.f_to_device(rows.device())?)?)
}
