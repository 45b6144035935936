//! The settings inside of Descript's `weights.pth`.

use std::path::Path;

use musicot_core::Checkpoint;
use musicot_core::published::PublishedConfig;
use serde_json::Value;

use super::DacConfig;
use crate::Result;

/// From the names of the constructor's arguments to ours.
const NAMES: [(&str, &str); 6] = [
    ("encoder_dim", "encoder_hidden_size"),
    ("encoder_rates", "downsampling_ratios"),
    ("latent_dim", "hidden_size"),
    ("decoder_dim", "decoder_hidden_size"),
    ("decoder_rates", "upsampling_ratios"),
    ("sample_rate", "sampling_rate"),
];

/// Reads `metadata.kwargs`, the arguments that the model was made with; absent ones have the constructor's values.
pub(super) fn read_config(checkpoint: &Checkpoint, path: &Path) -> Result<DacConfig> {
    let metadata = checkpoint.metadata()?;
    let kwargs = metadata.pointer("/metadata/kwargs").and_then(Value::as_object);
    let Some(kwargs) = kwargs else {
        let reason = "expected a file of Descript's DAC with its settings in metadata.kwargs";
        return Err(musicot_core::Error::format(path, reason).into());
    };
    let mut file = PublishedConfig::from_fields(path, kwargs.clone());
    for (theirs, ours) in NAMES {
        file.rename(theirs, ours);
    }
    // Its constructor's own default, not the way back through `encoder_rates`.
    file.set_default("upsampling_ratios", DacConfig::khz44().upsampling_ratios);
    DacConfig::read(file.ignore(&["quantizer_dropout"]), DacConfig::khz44().sampling_rate)
}
