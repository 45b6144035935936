//! From text states and seconds to the conditions of the transformer.

use std::path::Path;

use musicot_core::nn::Linear;
use musicot_core::published::PublishedConfig;
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{Checkpoint, ParamStore, Scope, shape};
use serde::{Deserialize, Serialize};

use super::embed::FourierFeatures;
use super::load::expect_float;
use super::{StableAudioCondition, expect_float as expect_float_elements};
use crate::{Error, Result};

/// Features of a number of seconds, which no key sets.
const NUMBER_FEATURES: i64 = 256;

/// Sizes of a [`StableAudioProjection`], as in its `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StableAudioProjectionConfig {
    /// Width of the text encoder's states.
    pub text_encoder_dim: i64,
    /// Width of the conditions; where it is the text encoder's, text states pass as they are.
    pub conditioning_dim: i64,
    /// Least number of seconds.
    pub min_value: f64,
    /// Most seconds; numbers are clamped to this range.
    pub max_value: f64,
}

impl StableAudioProjectionConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        for (field, size) in
            [("text_encoder_dim", self.text_encoder_dim), ("conditioning_dim", self.conditioning_dim)]
        {
            if size <= 0 {
                return Err(Error::config(field, format!("expected a positive number, got {size}")));
            }
        }
        let (least, most) = (self.min_value, self.max_value);
        if least.is_finite() && most.is_finite() && least < most {
            return Ok(());
        }
        Err(Error::config("max_value", format!("expected a number above min_value = {least}, got {most}")))
    }
}

/// The `projection_model` of a published Stable Audio pipeline.
#[derive(Debug)]
pub struct StableAudioProjection {
    config: StableAudioProjectionConfig,
    kind: Kind,
    text: Option<Linear>,
    start: Seconds,
    end: Seconds,
}

impl StableAudioProjection {
    /// A model in a scope, with the names of diffusers.
    ///
    /// # Errors
    /// [`Error::Config`] names a field out of range; see also [`Scope::param`].
    pub fn new(scope: &Scope, config: &StableAudioProjectionConfig) -> Result<Self> {
        config.validate()?;
        let (inputs, outputs) = (config.text_encoder_dim, config.conditioning_dim);
        let text = match inputs == outputs {
            true => None,
            false => Some(Linear::new(&scope.sub("text_projection"), inputs, outputs, true)?),
        };
        let start = Seconds::new(&scope.sub("start_number_conditioner"), outputs)?;
        let end = Seconds::new(&scope.sub("end_number_conditioner"), outputs)?;
        Ok(Self { config: config.clone(), kind: start.features.kind(), text, start, end })
    }

    /// Loads the `projection_model` directory of a published pipeline in f32.
    ///
    /// # Errors
    /// [`musicot_core::Error::Checkpoint`] lists every tensor that does not fit; [`Error::Format`] names a key of `config.json` that is not known.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Self::load_as(dir, device, Kind::Float)
    }

    /// Like [`StableAudioProjection::load`], in another floating-point type.
    ///
    /// # Errors
    /// [`Error::Input`] when `kind` is not `Float`, `Double`, `BFloat16` or `Half`; see also [`StableAudioProjection::load`].
    pub fn load_as(dir: impl AsRef<Path>, device: Device, kind: Kind) -> Result<Self> {
        expect_float(kind)?;
        let dir = dir.as_ref();
        let mut file = PublishedConfig::read(dir.join("config.json"))?;
        file.expect("_class_name", "StableAudioProjectionModel")?;
        let store = ParamStore::for_loading(device, kind);
        let model = Self::new(&store.root(), &file.ignore_usual().parse()?)?;
        store.load(&Checkpoint::open(dir)?, &Default::default())?;
        Ok(model)
    }

    /// Sizes.
    pub fn config(&self) -> &StableAudioProjectionConfig {
        &self.config
    }

    /// The condition for text states and for the seconds where the audio starts and ends, one of each per item: the states of the text and
    /// then of the two numbers to attend to, and the two numbers as the global condition. States that `mask` marks as padding become zeros.
    ///
    /// # Shapes
    /// `text [batch, seq, text_encoder_dim]`, `mask [batch, seq]` (true where there is text).
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Input`] names the argument.
    pub fn condition(
        &self,
        text: &Tensor,
        mask: Option<&Tensor>,
        seconds: &[[f64; 2]],
    ) -> Result<StableAudioCondition> {
        let batch = seconds.len() as i64;
        shape::expect("text", text, &[batch, shape::ANY, self.config.text_encoder_dim])?;
        expect_float_elements("text", text)?;
        let states = text.f_to_kind(self.kind)?;
        let mut states = match &self.text {
            Some(projection) => projection.forward(&states)?,
            None => states,
        };
        if let Some(mask) = mask {
            shape::expect("mask", mask, &[batch, text.size3()?.1])?;
            shape::expect_kind("mask", mask, Kind::Bool)?;
            states = states.f_mul(&mask.f_unsqueeze(-1)?.f_to_kind(self.kind)?)?;
        }
        let start = self.start.forward(&self.normalised(seconds, 0)?.f_to_device(text.device())?)?;
        let end = self.end.forward(&self.normalised(seconds, 1)?.f_to_device(text.device())?)?;
        Ok(StableAudioCondition {
            text: Tensor::f_cat(&[&states, &start, &end], 1)?,
            global: Tensor::f_cat(&[&start, &end], 2)?.f_squeeze_dim(1)?,
            text_mask: None,
        })
    }

    /// One of the two numbers of each item, from 0 at the least to 1 at the most, in f32 as in the reference.
    fn normalised(&self, seconds: &[[f64; 2]], which: usize) -> Result<Tensor> {
        let (least, most) = (self.config.min_value, self.config.max_value);
        let mut values = Vec::with_capacity(seconds.len());
        for pair in seconds {
            if !pair[which].is_finite() {
                return Err(Error::input("seconds", format!("expected finite numbers, got {}", pair[which])));
            }
            let clamped = pair[which].clamp(least, most) as f32;
            values.push((clamped - least as f32) / (most - least) as f32);
        }
        Ok(Tensor::f_from_slice(&values)?)
    }
}

/// A state for a number: an affine map of the number itself and of its Fourier features.
#[derive(Debug)]
struct Seconds {
    features: FourierFeatures,
    output: Linear,
}

impl Seconds {
    fn new(scope: &Scope, dim: i64) -> Result<Self> {
        let scope = scope.sub("time_positional_embedding");
        Ok(Self {
            features: FourierFeatures::new(&scope.sub(0), "weights", NUMBER_FEATURES, false)?,
            output: Linear::new(&scope.sub(1), NUMBER_FEATURES + 1, dim, true)?,
        })
    }

    /// `[batch] -> [batch, 1, dim]`.
    fn forward(&self, numbers: &Tensor) -> Result<Tensor> {
        let angles = self.features.angles(numbers)?;
        let number = numbers.f_to_kind(angles.kind())?.f_unsqueeze(-1)?;
        let features = Tensor::f_cat(&[number, angles.f_sin()?, angles.f_cos()?], -1)?;
        Ok(self.output.forward(&features.f_to_kind(self.features.kind())?)?.f_unsqueeze(1)?)
    }
}
