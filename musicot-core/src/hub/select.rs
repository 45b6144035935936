//! Which files a checkpoint needs.

use std::path::Path;

use super::model::Part;
use super::{HubError, HubModel};
use crate::Result;
use crate::checkpoint::{WEIGHT_FILES, shard_names};

/// Files beside the weights that say how to use them; so does whatever ends in `config.json`.
const SMALL: [&str; 7] = [
    "added_tokens.json",
    "merges.txt",
    "model_index.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
];

/// What weights under other names end in.
const WEIGHT_ENDINGS: [&str; 7] = [".safetensors", ".bin", ".pt", ".pth", ".th", ".ckpt", ".msgpack"];

/// The files to bring.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Indices of sharded weights.
    pub indices: Vec<String>,
    /// Everything else, the weights last.
    pub files: Vec<String>,
}

/// What `model` asks for among the names of a repository.
pub(super) fn choose(model: &HubModel, commit: &str, names: &[String]) -> Result<Choice, HubError> {
    let mut choice = Choice { indices: Vec::new(), files: Vec::new() };
    let refuse = |reason| content(model, commit, reason);
    if model.parts.is_empty() {
        choice.add_folder("", names).map_err(refuse)?;
    }
    for part in &model.parts {
        match part {
            Part::Folder(folder) => choice.add_folder(&format!("{folder}/"), names),
            Part::File(name) => choice.add_file(name, names),
        }
        .map_err(refuse)?;
    }
    Ok(choice)
}

fn content(model: &HubModel, commit: &str, reason: String) -> HubError {
    HubError::Content { repo: model.repo().to_owned(), commit: commit.to_owned(), reason }
}

impl Choice {
    fn add_file(&mut self, name: &str, names: &[String]) -> Result<(), String> {
        if !names.iter().any(|known| known == name) {
            return Err(format!("it has no file `{name}`"));
        }
        self.push(name.to_owned());
        Ok(())
    }

    /// Small files first: an interrupted fetch is then known by its missing weights.
    fn add_folder(&mut self, prefix: &str, names: &[String]) -> Result<(), String> {
        let inside: Vec<&str> = names
            .iter()
            .filter_map(|name| name.strip_prefix(prefix))
            .filter(|name| !name.contains('/'))
            .collect();
        let small: Vec<&&str> = inside.iter().filter(|name| is_small(name)).collect();
        let weights = WEIGHT_FILES.iter().find(|name| inside.contains(name));
        // Folders of tokenisers and schedulers have no weights and no `config.json`.
        let needs_weights = prefix.is_empty() || small.is_empty() || inside.contains(&"config.json");
        if weights.is_none() && needs_weights {
            return Err(no_weights(prefix, &inside, names));
        }
        small.iter().for_each(|name| self.push(format!("{prefix}{name}")));
        match weights {
            Some(index) if index.ends_with(".json") => self.indices.push(format!("{prefix}{index}")),
            Some(file) => self.push(format!("{prefix}{file}")),
            None => {}
        }
        Ok(())
    }

    /// The shards that the indices name, which lie beside them. The indices must be in `snapshot`.
    pub fn add_shards(
        &mut self,
        model: &HubModel,
        commit: &str,
        snapshot: &Path,
        names: &[String],
    ) -> Result<()> {
        for index in self.indices.clone() {
            let folder = index.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            for shard in shard_names(&snapshot.join(&index))? {
                let missing = |reason| content(model, commit, format!("of `{index}`: {reason}"));
                self.add_file(&format!("{folder}{shard}"), names).map_err(missing)?;
            }
        }
        Ok(())
    }

    /// All of them, sorted.
    pub fn into_names(self) -> Vec<String> {
        let mut names = [self.indices, self.files].concat();
        names.sort();
        names
    }

    fn push(&mut self, name: String) {
        if !self.files.contains(&name) {
            self.files.push(name);
        }
    }
}

fn is_small(name: &str) -> bool {
    name.ends_with("config.json") || SMALL.contains(&name)
}

/// Says what is there instead.
fn no_weights(prefix: &str, inside: &[&str], names: &[String]) -> String {
    let place = if prefix.is_empty() { "at the top level".to_owned() } else { format!("in `{prefix}`") };
    let mut reason = format!("no weights {place}: expected one of {}", WEIGHT_FILES.join(", "));
    let is_weights = |name: &&&str| WEIGHT_ENDINGS.iter().any(|ending| name.ends_with(ending));
    let others: Vec<&str> = inside.iter().filter(is_weights).copied().collect();
    if !others.is_empty() {
        reason += &format!("; there is {}: HubModel::file takes a name", others.join(", "));
    }
    let mut folders: Vec<&str> = names
        .iter()
        .filter_map(|name| name.rsplit_once('/'))
        .filter(|(_, file)| WEIGHT_FILES.contains(file))
        .map(|(folder, _)| folder)
        .collect();
    folders.dedup();
    if !folders.is_empty() {
        reason += &format!("; folders with weights: {} (HubModel::folder)", folders.join(", "));
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(model: &HubModel, names: &[&str]) -> Result<Choice, String> {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        choose(model, "c0ffee0", &names).map_err(|error| error.to_string())
    }

    #[test]
    fn one_format_of_the_weights_and_the_small_files_are_taken() {
        let names = [
            "model.safetensors",
            "pytorch_model.bin",
            "tf_model.h5",
            "flax_model.msgpack",
            "model.fp16.safetensors",
            "onnx/model.onnx",
            "README.md",
            "config.json",
            "preprocessor_config.json",
            "vocab.json",
            "merges.txt",
            "other.json",
        ];
        let choice = chosen(&HubModel::new("a/b"), &names).unwrap();
        let expected =
            ["config.json", "merges.txt", "preprocessor_config.json", "vocab.json", "model.safetensors"];
        assert_eq!(choice.files, expected);
        assert!(choice.indices.is_empty());
    }

    #[test]
    fn shards_come_by_their_index_and_pickles_only_alone() {
        let names = ["config.json", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"];
        let choice = chosen(&HubModel::new("a/b"), &names).unwrap();
        assert_eq!(choice.indices, ["pytorch_model.bin.index.json"]);
        assert_eq!(choice.files, ["config.json"]);
        let both = [&names[..], &["model.safetensors.index.json"]].concat();
        assert_eq!(chosen(&HubModel::new("a/b"), &both).unwrap().indices, ["model.safetensors.index.json"]);
    }

    #[test]
    fn folders_and_files_stand_in_for_the_top_level() {
        let names = [
            "model.ckpt",
            "model.safetensors",
            "model_index.json",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "scheduler/scheduler_config.json",
            "empty/readme.md",
        ];
        let model = HubModel::new("a/b").folder("vae").folder("scheduler").file("model.ckpt");
        let expected = [
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "scheduler/scheduler_config.json",
            "model.ckpt",
        ];
        assert_eq!(chosen(&model, &names).unwrap().files, expected);
        let error = chosen(&HubModel::new("a/b").folder("empty"), &names).unwrap_err();
        assert!(error.contains("in `empty/`"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named_with_what_is_there() {
        let names = ["clap.pt", "vae/model.safetensors", "config.json"];
        let error = chosen(&HubModel::new("a/b"), &names).unwrap_err();
        for part in ["a/b", "c0ffee0", "model.safetensors", "clap.pt", "folders with weights: vae"] {
            assert!(error.contains(part), "{error}");
        }
        let error = chosen(&HubModel::new("a/b").file("x.pt"), &names).unwrap_err();
        assert!(error.contains("`x.pt`"), "{error}");
    }
}
