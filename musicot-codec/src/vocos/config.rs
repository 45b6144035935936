//! Sizes of a Vocos, under the names that published files use.

use musicot_core::Error;
use musicot_core::dsp::Padding;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::conv::check_sizes;

/// Configuration of a [`crate::Vocos`]: its three parts, of which each has settings of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VocosConfig {
    /// Waveform to mel bands.
    pub feature_extractor: MelFeaturesConfig,
    /// Mel bands to hidden frames.
    pub backbone: VocosBackboneConfig,
    /// Hidden frames to a waveform.
    pub head: IstftHeadConfig,
}

/// Magnitudes in mel bands (HTK's scale from 0 Hz to the Nyquist frequency, peaks of 1), as natural logarithms from 1e-7 up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MelFeaturesConfig {
    /// Samples per second.
    pub sample_rate: u32,
    /// Samples per frame.
    pub n_fft: i64,
    /// Samples between frames.
    pub hop_length: i64,
    /// Mel bands.
    pub n_mels: i64,
    /// Where frames stand.
    pub padding: Padding,
}

impl Default for MelFeaturesConfig {
    fn default() -> Self {
        Self { sample_rate: 24_000, n_fft: 1024, hop_length: 256, n_mels: 100, padding: Padding::Center }
    }
}

/// A stack of ConvNeXt blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VocosBackboneConfig {
    /// Mel bands.
    pub input_channels: i64,
    /// Width.
    pub dim: i64,
    /// Width inside a block.
    pub intermediate_dim: i64,
    /// Blocks.
    pub num_layers: i64,
    /// Where the scale of each block's output starts; `1 / num_layers` where absent or 0. Not negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_scale_init_value: Option<f64>,
}

/// Magnitude and phase of every frequency, and the inverse transform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IstftHeadConfig {
    /// Width of its input.
    pub dim: i64,
    /// Samples per frame.
    pub n_fft: i64,
    /// Samples between frames.
    pub hop_length: i64,
    /// Where frames stand.
    #[serde(default = "same")]
    pub padding: Padding,
}

/// What the package takes for the head, unlike for the features.
fn same() -> Padding {
    Padding::Same
}

impl VocosConfig {
    /// The published charactr/vocos-mel-24khz: 100 bands, 93.75 frames a second, 13.5 million parameters.
    pub fn mel_24khz() -> Self {
        Self {
            feature_extractor: MelFeaturesConfig::default(),
            backbone: VocosBackboneConfig {
                input_channels: 100,
                dim: 512,
                intermediate_dim: 1536,
                num_layers: 8,
                layer_scale_init_value: None,
            },
            head: IstftHeadConfig { dim: 512, n_fft: 1024, hop_length: 256, padding: Padding::Center },
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn validate(&self) -> Result<()> {
        let (mel, backbone, head) = (&self.feature_extractor, &self.backbone, &self.head);
        let sizes = [
            ("feature_extractor.sample_rate", i64::from(mel.sample_rate)),
            ("feature_extractor.n_mels", mel.n_mels),
            ("backbone.input_channels", backbone.input_channels),
            ("backbone.dim", backbone.dim),
            ("backbone.intermediate_dim", backbone.intermediate_dim),
            ("backbone.num_layers", backbone.num_layers),
        ];
        check_sizes(&sizes)?;
        check_range("feature_extractor.n_fft", mel.n_fft, 2, 1 << 20)?;
        check_range("feature_extractor.hop_length", mel.hop_length, 1, mel.n_fft)?;
        head.validate()?;
        check_equal("backbone.input_channels", backbone.input_channels, "n_mels", mel.n_mels)?;
        check_equal("head.dim", head.dim, "backbone.dim", backbone.dim)?;
        match backbone.layer_scale_init_value {
            Some(value) if !(value.is_finite() && value >= 0.0) => {
                let reason = format!("expected a number of at least 0, got {value}");
                Err(Error::config("backbone.layer_scale_init_value", reason).into())
            }
            _ => Ok(()),
        }
    }
}

impl IstftHeadConfig {
    fn validate(&self) -> Result<()> {
        check_range("head.n_fft", self.n_fft, 2, 1 << 20)?;
        // A window begins with a zero, which the one before must cover.
        check_range("head.hop_length", self.hop_length, 1, self.n_fft - 1)?;
        let odd = match self.padding {
            _ if self.n_fft % 2 != 0 => ("head.n_fft", self.n_fft),
            Padding::Same if self.hop_length % 2 != 0 => ("head.hop_length", self.hop_length),
            _ => return Ok(()),
        };
        Err(Error::config(odd.0, format!("expected an even number, got {}", odd.1)).into())
    }
}

fn check_range(field: &str, value: i64, low: i64, high: i64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("expected {low} to {high}, got {value}")).into())
}

fn check_equal(field: &str, value: i64, other: &str, expected: i64) -> Result<()> {
    if value == expected {
        return Ok(());
    }
    Err(Error::config(field, format!("expected {expected} as in {other}, got {value}")).into())
}
