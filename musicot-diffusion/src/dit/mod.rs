//! A diffusion transformer (Peebles and Xie, 2023) over latent frames.
//!
//! Frame-aligned conditions are added to the input; time and text modulate every block. The modulation is one projection
//! shared by all blocks plus a table per block (as in PixArt-alpha, Chen et al., 2024), which at this size saves as many parameters as
//! the attention has. It starts at zero, so that an untrained block is the identity.

mod block;
mod inputs;
mod modulation;
mod reader;

use std::path::Path;

use musicot_core::files::{read_json, write_json};
use musicot_core::nn::{Linear, Rope};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Init, ParamStore, Storage, shape};

use self::block::Block;
use self::inputs::{Entered, Inputs};
use self::modulation::{GlobalCondition, modulate, normalise};
use crate::config::expect_latents;
use crate::{Condition, Denoiser, DitConfig, Error, KnownForm, Objective, Result};

/// The diffusion transformer.
///
/// ```
/// use musicot_diffusion::{Condition, Denoiser, Dit, DitConfig, tch::{Device, Kind, Tensor}};
/// let config = DitConfig { width: 16, depth: 1, heads: 2, latent_dim: 4, ..DitConfig::default() };
/// let model = Dit::new(config, Device::Cpu, 7)?;
/// let x = Tensor::zeros([2, 4, 10], (Kind::Float, Device::Cpu));
/// let time = Tensor::from_slice(&[0.2_f32, 0.9]);
/// assert_eq!(model.predict(&x, &time, &Condition::default())?.size(), [2, 4, 10]);
/// # Ok::<(), musicot_diffusion::Error>(())
/// ```
pub struct Dit {
    config: DitConfig,
    store: ParamStore,
    inputs: Inputs,
    global: GlobalCondition,
    blocks: Vec<Block>,
    output: Linear,
    rope: Rope,
    mean: Tensor,
    deviation: Tensor,
}

impl std::fmt::Debug for Dit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dit").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Dit {
    /// A model with random weights.
    ///
    /// # Errors
    /// [`Error::Config`] names a field out of range.
    pub fn new(config: DitConfig, device: Device, seed: u64) -> Result<Self> {
        config.validate()?;
        Self::build(config, ParamStore::new(device, seed))
    }

    /// Reads `config.json` and the weights of a directory, as [`musicot_core::Checkpoint::open`] finds them.
    ///
    /// # Errors
    /// A file that is missing or malformed, and every tensor that is missing, unexpected or mis-shaped, is named.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        let dir = dir.as_ref();
        let config: DitConfig = read_json(dir.join("config.json"))?;
        config.validate()?;
        let model = Self::build(config, ParamStore::for_loading(device, Kind::Float))?;
        model.store.load_file(dir)?;
        shape::expect_finite("latent_mean", &model.mean)?;
        check_deviation(&model.deviation)?;
        Ok(model)
    }

    /// Writes `config.json` and `model.safetensors`, each atomically.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn save(&self, dir: impl AsRef<Path>, storage: Storage) -> Result<()> {
        let dir = dir.as_ref();
        self.store.save(dir.join("model.safetensors"), storage)?;
        write_json(dir.join("config.json"), &self.config)
    }

    /// Sizes.
    pub fn config(&self) -> &DitConfig {
        &self.config
    }

    /// Parameters and buffers.
    pub fn params(&self) -> &ParamStore {
        &self.store
    }

    /// Sets the mean and standard deviation of the codec's latents, each `[latent_dim]`; a new model has 0 and 1.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Input`] when they are not finite, or a deviation is not above 0.
    pub fn set_latent_statistics(&mut self, mean: &Tensor, deviation: &Tensor) -> Result<()> {
        shape::expect("latent mean", mean, &[self.config.latent_dim])?;
        shape::expect("latent deviation", deviation, &[self.config.latent_dim])?;
        shape::expect_finite("latent mean", mean)?;
        check_deviation(deviation)?;
        self.mean.f_copy_(mean)?;
        Ok(self.deviation.f_copy_(deviation)?)
    }

    fn build(config: DitConfig, store: ParamStore) -> Result<Self> {
        let (root, device) = (store.root(), store.device());
        let inputs = Inputs::new(&root.sub("inputs"), &config)?;
        let global = GlobalCondition::new(&root.sub("global"), &config)?;
        let blocks = (0..config.depth)
            .map(|index| Block::new(&root.sub("blocks").sub(index), &config))
            .collect::<Result<_>>()?;
        let zero = Init::Const(0.0);
        let output = Linear::with_init(&root.sub("output"), config.width, config.latent_dim, true, zero)?;
        let rope = Rope::new(config.head_dim(), config.rope_theta, device)?;
        let options = (Kind::Float, device);
        let mean = root.buffer("latent_mean", Tensor::f_zeros([config.latent_dim], options)?)?;
        let deviation = root.buffer("latent_deviation", Tensor::f_ones([config.latent_dim], options)?)?;
        Ok(Self { config, store, inputs, global, blocks, output, rope, mean, deviation })
    }
}

/// The two halves of [`Denoiser::predict`].
impl Dit {
    fn enter(&self, x: &Tensor, time: &Tensor, condition: &Condition) -> Result<Entered> {
        let (batch, frames) = expect_latents("noised latents", x, self.config.latent_dim)?;
        shape::expect("time", time, &[batch])?;
        condition.validate(&self.config, batch, frames)?;
        self.inputs.forward(x, condition)
    }

    fn blocks(&self, entered: &Entered, x: &Tensor, time: &Tensor, condition: &Condition) -> Result<Tensor> {
        let global = self.global.forward(time, condition)?;
        let mut hidden = entered.hidden.shallow_clone();
        let rope = self.rope.range(0, hidden.size()[1])?;
        for block in &self.blocks {
            hidden = block.forward(&hidden, &global, &rope)?;
        }
        let [shift, scale] = &global.last;
        let hidden = modulate(&normalise(&hidden)?, shift, scale)?;
        let output = self.output.forward(&hidden)?.f_transpose(1, 2)?;
        // The blocks need not learn what follows from the input alone (Karras et al., 2022, section 5).
        match self.config.objective.precondition(&time.f_to_kind(Kind::Float)?)? {
            None => Ok(output),
            Some((skip, scale)) => Ok(output.f_mul(&scale)?.f_addcmul(&x.f_to_kind(Kind::Float)?, &skip)?),
        }
    }

    /// What [`Denoiser::predict`] gives and, of a model with a reader, the latents as far as they follow from the conditions alone: normalised
    /// `[batch, latent_dim, frames]`.
    ///
    /// # Errors
    /// As for [`Denoiser::predict`].
    pub fn predict_and_estimate(
        &self,
        x: &Tensor,
        time: &Tensor,
        condition: &Condition,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let entered = self.enter(x, time, condition)?;
        Ok((self.blocks(&entered, x, time, condition)?, self.inputs.estimate(&entered)?))
    }
}

impl Denoiser for Dit {
    fn objective(&self) -> Objective {
        self.config.objective
    }

    fn latent_dim(&self) -> i64 {
        self.config.latent_dim
    }

    fn frames_per_thought(&self) -> f64 {
        self.config.frames_per_thought
    }

    fn max_frames(&self) -> usize {
        self.config.max_frames
    }

    fn device(&self) -> Device {
        self.store.device()
    }

    fn predict(&self, x: &Tensor, time: &Tensor, condition: &Condition) -> Result<Tensor> {
        let entered = self.enter(x, time, condition)?;
        self.blocks(&entered, x, time, condition)
    }

    fn known_form(&self) -> KnownForm {
        KnownForm::Clean
    }

    fn normalize(&self, latents: &Tensor) -> Result<Tensor> {
        expect_latents("latents", latents, self.config.latent_dim)?;
        Ok(latents.f_sub(&column(&self.mean)?)?.f_div(&column(&self.deviation)?)?)
    }

    fn denormalize(&self, latents: &Tensor) -> Result<Tensor> {
        expect_latents("latents", latents, self.config.latent_dim)?;
        Ok(latents.f_mul(&column(&self.deviation)?)?.f_add(&column(&self.mean)?)?)
    }
}

/// `[dim] -> [dim, 1]`.
fn column(vector: &Tensor) -> Result<Tensor> {
    Ok(vector.f_unsqueeze(-1)?)
}

fn check_deviation(deviation: &Tensor) -> Result<()> {
    shape::expect_finite("latent_deviation", deviation)?;
    let least = deviation.f_min()?.f_double_value(&[])?;
    if least > 0.0 {
        return Ok(());
    }
    Err(Error::input("latent_deviation", format!("expected positive numbers, got {least}")))
}
