//! The diffusion transformer of Stable Audio (Evans et al., 2024, arXiv 2407.14358), with the numbers of its published weights.
//!
//! Noised latents go through plain transformer blocks; time and durations are one more frame in front of them, and the text is attended to.
//! It is a model of its own, not a [`crate::Denoiser`], which is conditioned on tokens. What is needed to sample with it is here too:
//! [`StableAudioProjection`] makes the conditions out of text states and seconds, [`StableAudioDit::guided`] is classifier-free guidance, and
//! [`crate::scheduler`] has the solver. Text states are the hidden states of T5, which is not here.

mod block;
mod config;
mod embed;
mod load;
mod names;
mod original;
mod projection;

use musicot_core::nn::{Conv1d, Conv1dConfig, Linear, Rope};
use musicot_core::tch::{Kind, Tensor};
use musicot_core::{GuidanceScale, Scope, shape};

use self::block::Block;
use self::embed::{FourierFeatures, Projection, rotary};
use crate::{Error, Result};

pub use config::StableAudioDitConfig;
pub use projection::{StableAudioProjection, StableAudioProjectionConfig};

/// The transformer.
///
/// ```
/// use musicot_core::ParamStore;
/// use musicot_diffusion::stable_audio::{StableAudioCondition, StableAudioDit, StableAudioDitConfig};
/// use musicot_diffusion::tch::{Device, Kind, Tensor};
/// let config = StableAudioDitConfig { num_layers: 1, attention_head_dim: 8, num_attention_heads: 2,
///     num_key_value_attention_heads: 1, in_channels: 4, out_channels: 4, ..StableAudioDitConfig::default() };
/// let store = ParamStore::new(Device::Cpu, 7);
/// let dit = StableAudioDit::new(&store.root(), &config)?;
/// let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
/// let condition = StableAudioCondition { text: zeros(&[2, 5, 768]), global: zeros(&[2, 1536]), text_mask: None };
/// assert_eq!(dit.forward(&zeros(&[2, 4, 11]), &zeros(&[2]), &condition)?.size(), [2, 4, 11]);
/// # Ok::<(), musicot_diffusion::Error>(())
/// ```
#[derive(Debug)]
pub struct StableAudioDit {
    config: StableAudioDitConfig,
    kind: Kind,
    time_features: FourierFeatures,
    time: Projection,
    global: Projection,
    text: Projection,
    before: Conv1d,
    input: Linear,
    blocks: Vec<Block>,
    output: Linear,
    after: Conv1d,
    rope: Rope,
}

/// What audio is asked for. Any floating-point type will do.
#[derive(Debug)]
pub struct StableAudioCondition {
    /// States that are attended to, `[batch, seq, cross_attention_input_dim]`: those of the text, then those of the seconds.
    pub text: Tensor,
    /// `[batch, global_states_input_dim]`, or `[batch, 1, global_states_input_dim]`.
    pub global: Tensor,
    /// `[batch, seq]` of booleans, true where a state may be attended to; all of them where there is none. The published pipelines have
    /// none: they set the states of padding to zero, as [`StableAudioProjection::condition`] does.
    pub text_mask: Option<Tensor>,
}

impl StableAudioDit {
    /// A model in a scope, with the names of diffusers, but for `q_proj`, `k_proj`, `v_proj` and `o_proj` of the attentions and `gate_proj`,
    /// `up_proj` and `down_proj` of the feed-forward networks.
    ///
    /// # Errors
    /// [`Error::Config`] names a field out of range; see also [`Scope::param`].
    pub fn new(scope: &Scope, config: &StableAudioDitConfig) -> Result<Self> {
        Self::build(scope, config, false)
    }

    /// `column`: the time features have a second axis of one, as in the original layout.
    fn build(scope: &Scope, config: &StableAudioDitConfig, column: bool) -> Result<Self> {
        config.validate()?;
        let width = config.width();
        let pointwise = |name, channels| {
            Conv1d::new(
                &scope.sub(name),
                Conv1dConfig { bias: false, ..Conv1dConfig::same(channels, channels, 1) },
            )
        };
        let projection =
            |name, inputs, outputs, bias| Projection::new(&scope.sub(name), inputs, outputs, bias);
        let blocks = scope.sub("transformer_blocks");
        let time_features =
            FourierFeatures::new(&scope.sub("time_proj"), "weight", config.time_proj_dim, column)?;
        Ok(Self {
            kind: time_features.kind(),
            time_features,
            time: projection("timestep_proj", config.time_proj_dim, width, true)?,
            global: projection("global_proj", config.global_states_input_dim, width, false)?,
            text: projection(
                "cross_attention_proj",
                config.cross_attention_input_dim,
                config.cross_attention_dim,
                false,
            )?,
            before: pointwise("preprocess_conv", config.in_channels)?,
            input: Linear::new(&scope.sub("proj_in"), config.in_channels, width, false)?,
            blocks: (0..config.num_layers)
                .map(|index| Block::new(&blocks.sub(index), config))
                .collect::<Result<_>>()?,
            output: Linear::new(&scope.sub("proj_out"), width, config.out_channels, false)?,
            after: pointwise("postprocess_conv", config.out_channels)?,
            rope: rotary(config.rotated(), scope.device())?,
            config: config.clone(),
        })
    }

    /// Sizes.
    pub fn config(&self) -> &StableAudioDitConfig {
        &self.config
    }

    /// Element type of weights, activations and predictions.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The prediction for noised `latents` at a time: for Stable Audio Open the velocity `cos(a) noise - sin(a) data` at the angle `a = t pi / 2`.
    ///
    /// # Shapes
    /// `latents [batch, in_channels, frames]`, `timestep [batch]` `-> [batch, out_channels, frames]`.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Input`] names the input.
    pub fn forward(
        &self,
        latents: &Tensor,
        timestep: &Tensor,
        condition: &StableAudioCondition,
    ) -> Result<Tensor> {
        let (batch, frames) = self.expect_latents(latents)?;
        shape::expect("timestep", timestep, &[batch])?;
        expect_float("timestep", timestep)?;
        let mask = self.expect_condition(condition, batch)?;
        let text = self.text.forward(&condition.text.f_to_kind(self.kind)?)?;
        let global = condition.global.f_to_kind(self.kind)?.f_reshape([batch, 1, -1])?;
        let time = self.time.forward(&self.time_features.forward(timestep)?)?.f_unsqueeze(1)?;
        let first = self.global.forward(&global)?.f_add(&time)?;
        let latents = latents.f_to_kind(self.kind)?;
        let frames_in = self.before.forward(&latents)?.f_add(&latents)?.f_transpose(1, 2)?;
        let mut hidden = Tensor::f_cat(&[first, self.input.forward(&frames_in)?], 1)?;
        let rope = self.rope.range(0, frames + 1)?;
        for block in &self.blocks {
            hidden = block.forward(&hidden, &rope, &text, mask.as_ref())?;
        }
        let output = self.output.forward(&hidden)?.f_transpose(1, 2)?.f_narrow(2, 1, frames)?;
        Ok(self.after.forward(&output)?.f_add(&output)?)
    }

    /// Classifier-free guidance: [`StableAudioDit::forward`] with the condition and with nothing to attend to (zeros for all states, of text
    /// and seconds, and the same global condition), both in one batch.
    ///
    /// # Errors
    /// As [`StableAudioDit::forward`].
    pub fn guided(
        &self,
        latents: &Tensor,
        timestep: &Tensor,
        condition: &StableAudioCondition,
        scale: GuidanceScale,
    ) -> Result<Tensor> {
        if scale.is_neutral() {
            return self.forward(latents, timestep, condition);
        }
        let (batch, _) = self.expect_latents(latents)?;
        let twice = |tensor: &Tensor| Tensor::f_cat(&[tensor, tensor], 0);
        let both = StableAudioCondition {
            text: Tensor::f_cat(&[&condition.text.f_zeros_like()?, &condition.text], 0)?,
            global: twice(&condition.global)?,
            text_mask: condition.text_mask.as_ref().map(twice).transpose()?,
        };
        let output = self.forward(&twice(latents)?, &twice(timestep)?, &both)?;
        scale.apply(&output.f_narrow(0, batch, batch)?, &output.f_narrow(0, 0, batch)?)
    }

    /// Batch and frames.
    fn expect_latents(&self, latents: &Tensor) -> Result<(i64, i64)> {
        shape::expect("latents", latents, &[shape::ANY, self.config.in_channels, shape::ANY])?;
        expect_float("latents", latents)?;
        let (batch, _, frames) = latents.size3()?;
        if batch == 0 || frames == 0 {
            return Err(Error::input("latents", format!("expected some, got {:?}", latents.size())));
        }
        Ok((batch, frames))
    }

    /// The mask as attention takes it, `[batch, 1, 1, seq]`.
    fn expect_condition(&self, condition: &StableAudioCondition, batch: i64) -> Result<Option<Tensor>> {
        let (text, global) = (&condition.text, &condition.global);
        shape::expect("text", text, &[batch, shape::ANY, self.config.cross_attention_input_dim])?;
        expect_float("text", text)?;
        let states = text.size3()?.1;
        if states == 0 {
            return Err(Error::input("text", "expected at least one state"));
        }
        let width = self.config.global_states_input_dim;
        shape::expect("global", global, &[batch, width])
            .or_else(|_| shape::expect("global", global, &[batch, 1, width]))?;
        expect_float("global", global)?;
        let Some(mask) = &condition.text_mask else { return Ok(None) };
        shape::expect("text_mask", mask, &[batch, states])?;
        shape::expect_kind("text_mask", mask, Kind::Bool)?;
        Ok(Some(mask.f_reshape([batch, 1, 1, states])?))
    }
}

fn expect_float(what: &str, tensor: &Tensor) -> Result<()> {
    if tensor.is_floating_point() {
        return Ok(());
    }
    Err(Error::input(what, format!("expected floating-point elements, got {:?}", tensor.kind())))
}
