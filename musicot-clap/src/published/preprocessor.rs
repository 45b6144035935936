//! `preprocessor_config.json`: the settings of transformers' `ClapFeatureExtractor`.

use std::path::Path;

use musicot_core::Result;
use musicot_core::published::PublishedConfig;
use serde::Deserialize;

use crate::config::{FeatureConfig, Padding, Truncation};

/// The file of the front end alone, and the one of the whole processor.
const OWN: &str = "preprocessor_config.json";
const WHOLE: &str = "processor_config.json";

/// What the reference stores but computes anew or never applies: sizes that follow from others, how batches of other models are padded, and a
/// limit of the dynamic range.
const HARMLESS: [&str; 12] = [
    "_processor_class",
    "chunk_length_s",
    "image_processor_type",
    "n_fft",
    "nb_frequency_bins",
    "nb_max_frames",
    "nb_max_samples",
    "padding_side",
    "padding_value",
    "processor_class",
    "return_attention_mask",
    "top_db",
];

/// Absent keys have the reference's values, which are not those of the published files (`frequency_min`, `truncation`).
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    feature_size: i64,
    sampling_rate: u32,
    hop_length: i64,
    max_length_s: f64,
    fft_window_size: i64,
    frequency_min: f64,
    frequency_max: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            feature_size: 64,
            sampling_rate: 48_000,
            hop_length: 480,
            max_length_s: 10.0,
            fft_window_size: 1024,
            frequency_min: 0.0,
            frequency_max: 14_000.0,
        }
    }
}

/// Whether a directory says how its front end works.
pub(crate) fn has_features(dir: &Path) -> bool {
    dir.join(OWN).exists() || dir.join(WHOLE).exists()
}

/// Reads the `preprocessor_config.json` of a directory or, where there is none, the `processor_config.json` of transformers 5, for a tower with
/// `bands` mel bands.
pub(crate) fn features(dir: &Path, bands: i64) -> Result<FeatureConfig> {
    let mut file = find(dir)?;
    file.expect("feature_extractor_type", "ClapFeatureExtractor")?;
    let padding = file.take_as("padding")?.unwrap_or(Padding::RepeatPad);
    let truncation = file.take_as("truncation")?.unwrap_or(Truncation::Fusion);
    let errors = file.clone();
    let settings: Settings = file.ignore(&HARMLESS).parse()?;
    if settings.feature_size != bands {
        let reason = format!("expected the {bands} mel bands of audio_config, got {}", settings.feature_size);
        return Err(errors.wrong("feature_size", reason));
    }
    let window = settings.max_length_s * f64::from(settings.sampling_rate);
    if !(window >= 1.0 && window <= f64::from(u32::MAX) && window.fract() == 0.0) {
        let reason = format!("expected a whole number of samples, got {window}");
        return Err(errors.wrong("max_length_s", reason));
    }
    let features = FeatureConfig {
        sample_rate_hz: settings.sampling_rate,
        n_fft: settings.fft_window_size,
        hop_samples: settings.hop_length,
        min_hz: settings.frequency_min,
        max_hz: settings.frequency_max,
        window_samples: window as i64,
        padding,
        ..FeatureConfig::default()
    };
    Ok(features.truncated(truncation))
}

fn find(dir: &Path) -> Result<PublishedConfig> {
    let (own, whole) = (dir.join(OWN), dir.join(WHOLE));
    if own.exists() || !whole.exists() {
        return PublishedConfig::read(own);
    }
    let mut whole = PublishedConfig::read(whole)?;
    let part = whole.take_object("feature_extractor")?;
    part.ok_or_else(|| whole.wrong("feature_extractor", "is missing"))
}
