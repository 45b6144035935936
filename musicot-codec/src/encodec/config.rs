//! Sizes of an EnCodec: transformers' `config.json`.

use std::path::Path;

use musicot_core::published::PublishedConfig;
use musicot_core::{Error as CoreError, Result as CoreResult};
use serde::{Deserialize, Serialize};

use crate::conv::{check_ratios, check_sizes};
use crate::{Error, Result};

/// Configuration of a [`crate::Encodec`], under transformers' names; the default, which absent keys have, is [`EncodecConfig::khz24`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncodecConfig {
    /// Kilobits per second to choose from, rising; the last one says how many levels there are.
    pub target_bandwidths: Vec<f64>,
    /// Samples per second and channel.
    pub sampling_rate: u32,
    /// Channels of the waveform, 1 or 2.
    pub audio_channels: i64,
    /// Whether each chunk is divided by its loudness.
    pub normalize: bool,
    /// Length of chunks coded each for itself in seconds; `None` codes a clip as a whole.
    pub chunk_length_s: Option<f64>,
    /// Share of a chunk that the next one begins before its end; needed where there are chunks.
    pub overlap: Option<f64>,
    /// Values per frame before and behind quantisation.
    pub hidden_size: i64,
    /// Width at the rate of samples; each change of the rate doubles or halves it.
    pub num_filters: i64,
    /// Residual blocks per rate.
    pub num_residual_layers: i64,
    /// By how much each step of the decoder raises the rate.
    pub upsampling_ratios: Vec<i64>,
    /// Normalisation of convolutions.
    pub norm_type: EncodecNorm,
    /// Taps of the first convolution.
    pub kernel_size: i64,
    /// Taps of the last convolution.
    pub last_kernel_size: i64,
    /// Taps of the convolution inside a residual block.
    pub residual_kernel_size: i64,
    /// Its spacing in a block, relative to the block before at the same rate.
    pub dilation_growth_rate: i64,
    /// Whether a frame depends on nothing after it.
    pub use_causal_conv: bool,
    /// What stands beyond the ends of a signal.
    pub pad_mode: EncodecPadding,
    /// Divides the width inside a residual block.
    pub compress: i64,
    /// Layers of the recurrent networks.
    pub num_lstm_layers: i64,
    /// Share of what stretching adds that a causal decoder cuts off at the end.
    pub trim_right_ratio: f64,
    /// Codewords per level, a power of two.
    pub codebook_size: i64,
    /// Values per codeword; `hidden_size` where it is absent, and nothing else is possible.
    pub codebook_dim: Option<i64>,
    /// Whether a residual block passes its input on through a convolution.
    pub use_conv_shortcut: bool,
}

/// How the convolutions of an [`crate::Encodec`] are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodecNorm {
    /// The weights, by their length; folded when they are loaded.
    WeightNorm,
    /// The output, over channels and time.
    TimeGroupNorm,
}

/// What an [`crate::Encodec`] takes for the samples beyond the ends of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodecPadding {
    /// The signal mirrored.
    Reflect,
    /// Zeros.
    Constant,
    /// The first and last samples.
    Replicate,
}

impl Default for EncodecConfig {
    fn default() -> Self {
        Self::khz24()
    }
}

impl EncodecConfig {
    /// 24 kHz, mono, causal, up to 32 levels, 75 frames a second (`facebook/encodec_24khz`).
    pub fn khz24() -> Self {
        Self {
            target_bandwidths: vec![1.5, 3.0, 6.0, 12.0, 24.0],
            sampling_rate: 24_000,
            audio_channels: 1,
            normalize: false,
            chunk_length_s: None,
            overlap: None,
            hidden_size: 128,
            num_filters: 32,
            num_residual_layers: 1,
            upsampling_ratios: vec![8, 5, 4, 2],
            norm_type: EncodecNorm::WeightNorm,
            kernel_size: 7,
            last_kernel_size: 7,
            residual_kernel_size: 3,
            dilation_growth_rate: 2,
            use_causal_conv: true,
            pad_mode: EncodecPadding::Reflect,
            compress: 2,
            num_lstm_layers: 2,
            trim_right_ratio: 1.0,
            codebook_size: 1024,
            codebook_dim: None,
            use_conv_shortcut: true,
        }
    }

    /// 32 kHz, mono, 4 levels of 2048, 50 frames a second (`facebook/encodec_32khz`, the codec of MusicGen).
    pub fn khz32() -> Self {
        Self {
            target_bandwidths: vec![2.2],
            sampling_rate: 32_000,
            num_filters: 64,
            upsampling_ratios: vec![8, 5, 4, 4],
            use_causal_conv: false,
            codebook_size: 2048,
            use_conv_shortcut: false,
            ..Self::khz24()
        }
    }

    /// 48 kHz, stereo, in chunks of a second, up to 16 levels, 150 frames a second (`facebook/encodec_48khz`).
    pub fn khz48() -> Self {
        Self {
            target_bandwidths: vec![3.0, 6.0, 12.0, 24.0],
            sampling_rate: 48_000,
            audio_channels: 2,
            normalize: true,
            chunk_length_s: Some(1.0),
            overlap: Some(0.01),
            norm_type: EncodecNorm::TimeGroupNorm,
            use_causal_conv: false,
            ..Self::khz24()
        }
    }

    /// Reads the `config.json` of transformers' `EncodecModel`; absent keys have transformers' values.
    ///
    /// # Errors
    /// [`CoreError::Format`] names a key that is not known or has a value that this crate does not compute; see also
    /// [`EncodecConfig::validate`].
    pub fn read_published(path: impl AsRef<Path>) -> Result<Self> {
        let mut file = PublishedConfig::read(path)?;
        file.expect("model_type", "encodec")?;
        // Apart, for errors that name the key.
        let (norm, padding) = (file.take_as("norm_type")?, file.take_as("pad_mode")?);
        let mut config: Self = file.ignore_usual().parse()?;
        config.norm_type = norm.unwrap_or(config.norm_type);
        config.pad_mode = padding.unwrap_or(config.pad_mode);
        config.validate()?;
        Ok(config)
    }

    /// Samples per frame.
    pub fn hop(&self) -> i64 {
        self.upsampling_ratios.iter().product()
    }

    /// Levels of the quantiser.
    pub fn levels(&self) -> usize {
        self.levels_within(self.target_bandwidths.last().copied().unwrap_or_default())
    }

    /// Levels that a bandwidth in kilobits per second has room for, at least 1.
    ///
    /// # Errors
    /// [`CoreError::Input`] when it is not among `target_bandwidths`.
    pub fn levels_for(&self, bandwidth: f64) -> Result<usize> {
        match self.target_bandwidths.contains(&bandwidth) {
            true => Ok(self.levels_within(bandwidth).max(1)),
            false => {
                let reason = format!("expected one of {:?}, got {bandwidth}", self.target_bandwidths);
                Err(Error::input("bandwidth", reason))
            }
        }
    }

    fn levels_within(&self, bandwidth: f64) -> usize {
        let frames_per_second = (f64::from(self.sampling_rate) / self.hop() as f64).ceil();
        (bandwidth * 1000.0 / (frames_per_second * (self.codebook_size as f64).log2())).floor() as usize
    }

    /// Samples of a chunk and from the start of one to that of the next; `None` where a clip is coded as a whole.
    pub(super) fn chunks(&self) -> Option<(i64, i64)> {
        let length = (self.chunk_length_s? * f64::from(self.sampling_rate)) as i64;
        let step = ((1.0 - self.overlap?) * length as f64) as i64;
        Some((length, step.max(1)))
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`CoreError::Config`] names the field.
    pub fn validate(&self) -> CoreResult<()> {
        check_sizes(&[
            ("sampling_rate", i64::from(self.sampling_rate)),
            ("audio_channels", self.audio_channels),
            ("hidden_size", self.hidden_size),
            ("num_filters", self.num_filters),
            ("kernel_size", self.kernel_size),
            ("last_kernel_size", self.last_kernel_size),
            ("residual_kernel_size", self.residual_kernel_size),
            ("dilation_growth_rate", self.dilation_growth_rate),
            ("compress", self.compress),
            ("num_lstm_layers", self.num_lstm_layers),
            ("codebook_size", self.codebook_size),
        ])?;
        check_ratios("upsampling_ratios", &self.upsampling_ratios, 1)?;
        let is = |fits: bool, field: &str, expected: &str, found: &dyn std::fmt::Debug| match fits {
            true => Ok(()),
            false => Err(CoreError::config(field, format!("expected {expected}, got {found:?}"))),
        };
        is(self.audio_channels <= 2, "audio_channels", "1 or 2", &self.audio_channels)?;
        is(self.upsampling_ratios.len() <= 16, "upsampling_ratios", "at most 16", &self.upsampling_ratios)?;
        // Spacings grow by powers.
        let spacing = self.dilation_growth_rate.checked_pow(self.num_residual_layers.clamp(0, 64) as u32);
        let blocks = (0..=64).contains(&self.num_residual_layers) && spacing.is_some_and(|s| s <= 1 << 20);
        is(
            blocks,
            "num_residual_layers",
            "0 to 64, with spacings of at most 2^20",
            &self.num_residual_layers,
        )?;
        is(self.compress <= self.num_filters, "compress", "at most num_filters", &self.compress)?;
        let power = self.codebook_size.count_ones() == 1 && self.codebook_size > 1;
        is(power, "codebook_size", "a power of two", &self.codebook_size)?;
        let dim = self.codebook_dim.unwrap_or(self.hidden_size);
        is(dim == self.hidden_size, "codebook_dim", "hidden_size", &dim)?;
        let trim = self.trim_right_ratio;
        let trimmed = (0.0..=1.0).contains(&trim) && (self.use_causal_conv || trim == 1.0);
        is(trimmed, "trim_right_ratio", "0 to 1, and 1 where convolutions are not causal", &trim)?;
        let bandwidths = &self.target_bandwidths;
        let rising = bandwidths.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = bandwidths.iter().all(|b| *b > 0.0 && *b <= 1e6);
        is(rising && finite, "target_bandwidths", "rising kbit/s", bandwidths)?;
        let levels = self.levels();
        is((1..=1024).contains(&levels), "target_bandwidths", "1 to 1024 levels", &levels)?;
        if self.chunk_length_s.is_some() {
            let overlap = self.overlap.is_some_and(|overlap| (0.0..1.0).contains(&overlap));
            is(overlap, "overlap", "0 or more and less than 1", &self.overlap)?;
            let length = self.chunks().is_some_and(|(length, _)| (1..=1 << 31).contains(&length));
            is(length, "chunk_length_s", "at least a sample", &self.chunk_length_s)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_the_published_levels() {
        for (config, levels, hop) in [
            (EncodecConfig::khz24(), 32, 320),
            (EncodecConfig::khz32(), 4, 640),
            (EncodecConfig::khz48(), 16, 320),
        ] {
            config.validate().unwrap();
            assert_eq!((config.levels(), config.hop()), (levels, hop));
        }
        assert_eq!(EncodecConfig::khz24().levels_for(6.0).unwrap(), 8);
        assert!(EncodecConfig::khz24().levels_for(5.0).is_err());
        assert_eq!(EncodecConfig::khz48().chunks(), Some((48_000, 47_520)));
    }
}
