//! Reading a published `config.yaml`.

use std::fs;
use std::path::Path;

use musicot_core::Error;
use musicot_core::published::PublishedConfig;
use serde_json::{Map, Value};

use super::VocosConfig;
use crate::Result;

impl VocosConfig {
    /// Reads the `config.yaml` of a published directory, or a `config.json` with the same content: a `class_path` and its `init_args` for each of
    /// `feature_extractor`, `backbone` and `head`. Absent arguments have the package's values.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] when there is neither file or it is malformed; another class and an unknown argument are named.
    /// See also [`VocosConfig::validate`].
    pub fn read_published(dir: impl AsRef<Path>) -> Result<Self> {
        let (yaml, json) = (dir.as_ref().join("config.yaml"), dir.as_ref().join("config.json"));
        // Without either, the error names the file that is usual.
        let is_json = !yaml.exists() && json.exists();
        let mut file = if is_json { PublishedConfig::read(json)? } else { read_yaml(&yaml)? };
        let mel =
            arguments(&mut file, "feature_extractor", "vocos.feature_extractors.MelSpectrogramFeatures")?;
        let mut backbone = arguments(&mut file, "backbone", "vocos.models.VocosBackbone")?;
        if let Some(count) = backbone.take("adanorm_num_embeddings") {
            let reason = format!("expected none, as adaptive norms are not supported, got {count}");
            return Err(backbone.wrong("adanorm_num_embeddings", reason).into());
        }
        let head = arguments(&mut file, "head", "vocos.heads.ISTFTHead")?;
        file.finish()?;
        let config =
            Self { feature_extractor: mel.parse()?, backbone: backbone.parse()?, head: head.parse()? };
        config.validate()?;
        Ok(config)
    }
}

fn read_yaml(path: &Path) -> Result<PublishedConfig> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    let fields: Map<String, Value> =
        serde_saphyr::from_str(&text).map_err(|e| Error::format(path, e.to_string()))?;
    Ok(PublishedConfig::from_fields(path, fields))
}

/// The `init_args` of an entry, whose class must be this one.
fn arguments(file: &mut PublishedConfig, name: &str, class: &str) -> Result<PublishedConfig> {
    let Some(mut entry) = file.take_object(name)? else { return Err(file.wrong(name, "is missing").into()) };
    match entry.take_as::<String>("class_path")? {
        Some(found) if found == class => {}
        found => {
            let found = found.unwrap_or_else(|| "none".to_owned());
            return Err(entry.wrong("class_path", format!("expected {class}, got {found}")).into());
        }
    }
    let Some(arguments) = entry.take_object("init_args")? else {
        return Err(entry.wrong("init_args", "is missing").into());
    };
    entry.finish()?;
    Ok(arguments)
}
