//! Sizes of a DAC, and transformers' `config.json`.

use std::path::Path;

use musicot_core::published::PublishedConfig;
use musicot_core::{Error as CoreError, Result as CoreResult};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::conv::{Sizes, check_ratios, check_sizes};

/// Configuration of a [`crate::Dac`], under transformers' names; the default is [`DacConfig::khz44`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DacConfig {
    /// Width of the encoder before its first block; each block doubles it.
    pub encoder_hidden_size: i64,
    /// By how much each block of the encoder lowers the rate, each at least 2.
    pub downsampling_ratios: Vec<i64>,
    /// Values per frame before and behind quantisation.
    pub hidden_size: i64,
    /// Width of the decoder before its first block; each block halves it.
    pub decoder_hidden_size: i64,
    /// By how much each block of the decoder raises the rate; the same product as that of `downsampling_ratios`.
    pub upsampling_ratios: Vec<i64>,
    /// Levels of the quantiser.
    pub n_codebooks: i64,
    /// Codewords per level.
    pub codebook_size: i64,
    /// Values per codeword.
    pub codebook_dim: i64,
    /// Samples per second.
    pub sampling_rate: u32,
}

impl Default for DacConfig {
    fn default() -> Self {
        Self::khz44()
    }
}

impl DacConfig {
    /// 44.1 kHz, 9 levels, 86 frames a second (`conf/final/44khz.yml`; `descript/dac_44khz`).
    pub fn khz44() -> Self {
        Self {
            encoder_hidden_size: 64,
            downsampling_ratios: vec![2, 4, 8, 8],
            hidden_size: 1024,
            decoder_hidden_size: 1536,
            upsampling_ratios: vec![8, 8, 4, 2],
            n_codebooks: 9,
            codebook_size: 1024,
            codebook_dim: 8,
            sampling_rate: 44_100,
        }
    }

    /// 24 kHz, 32 levels, 75 frames a second (`conf/final/24khz.yml`; `descript/dac_24khz`).
    pub fn khz24() -> Self {
        Self { n_codebooks: 32, sampling_rate: 24_000, ..Self::khz16() }
    }

    /// 16 kHz, 12 levels, 50 frames a second (`conf/final/16khz.yml`; `descript/dac_16khz`).
    pub fn khz16() -> Self {
        Self {
            downsampling_ratios: vec![2, 4, 5, 8],
            upsampling_ratios: vec![8, 5, 4, 2],
            n_codebooks: 12,
            sampling_rate: 16_000,
            ..Self::khz44()
        }
    }

    /// Reads the `config.json` of transformers' `DacModel`; absent keys have transformers' values.
    ///
    /// # Errors
    /// [`CoreError::Format`] names a key that is not known, of another type, or contradicts the others; see also [`DacConfig::validate`].
    pub fn read_published(path: impl AsRef<Path>) -> Result<Self> {
        let mut file = PublishedConfig::read(path)?;
        file.expect("model_type", "dac")?;
        let file = file.ignore(&["quantizer_dropout", "commitment_loss_weight", "codebook_loss_weight"]);
        Self::read(file.ignore_usual(), 16_000)
    }

    /// Reads keys of the names above: of absent ones, some follow from the others, and the rate of a file that names none is that of
    /// its project.
    pub(super) fn read(mut file: PublishedConfig, sampling_rate: u32) -> Result<Self> {
        let (usual, sizes) = (Self::khz44(), file.take_as::<Vec<i64>>("downsampling_ratios")?);
        let down = sizes.unwrap_or(usual.downsampling_ratios);
        let up: Vec<i64> = down.iter().rev().copied().collect();
        check_ratios("downsampling_ratios", &down, 2)?;
        file.expect("hop_length", down.iter().product::<i64>())?;
        let width = file.take_as("encoder_hidden_size")?.unwrap_or(usual.encoder_hidden_size);
        file.set("encoder_hidden_size", width);
        file.set("downsampling_ratios", down.clone());
        file.set_default("upsampling_ratios", up);
        file.set_default("hidden_size", width.saturating_mul(1 << down.len()));
        file.set_default("sampling_rate", sampling_rate);
        let config: Self = file.parse()?;
        config.validate()?;
        Ok(config)
    }

    /// Samples per frame.
    pub fn hop(&self) -> i64 {
        self.downsampling_ratios.iter().product()
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`CoreError::Config`] names the field.
    pub fn validate(&self) -> CoreResult<()> {
        check_sizes(&[
            ("encoder_hidden_size", self.encoder_hidden_size),
            ("hidden_size", self.hidden_size),
            ("decoder_hidden_size", self.decoder_hidden_size),
            ("n_codebooks", self.n_codebooks),
            ("codebook_size", self.codebook_size),
            ("codebook_dim", self.codebook_dim),
            ("sampling_rate", i64::from(self.sampling_rate)),
        ])?;
        check_ratios("downsampling_ratios", &self.downsampling_ratios, 2)?;
        check_ratios("upsampling_ratios", &self.upsampling_ratios, 2)?;
        let up: i64 = self.upsampling_ratios.iter().product();
        if up != self.hop() {
            let reason = format!("expected a product of {} as of downsampling_ratios, got {up}", self.hop());
            return Err(CoreError::config("upsampling_ratios", reason));
        }
        if self.decoder_hidden_size >> self.upsampling_ratios.len() == 0 {
            let reason = format!("{} cannot be halved in every block", self.decoder_hidden_size);
            return Err(CoreError::config("decoder_hidden_size", reason));
        }
        Ok(())
    }

    pub(super) fn encoder(&self) -> Sizes {
        Sizes {
            inputs: 1,
            widths: (0..=self.downsampling_ratios.len()).map(|i| self.encoder_hidden_size << i).collect(),
            ratios: self.downsampling_ratios.clone(),
            outputs: self.hidden_size,
        }
    }

    pub(super) fn decoder(&self) -> Sizes {
        Sizes {
            inputs: self.hidden_size,
            widths: (0..=self.upsampling_ratios.len()).map(|i| self.decoder_hidden_size >> i).collect(),
            ratios: self.upsampling_ratios.clone(),
            outputs: 1,
        }
    }
}
