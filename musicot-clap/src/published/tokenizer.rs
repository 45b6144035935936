//! The tokenizer of a published directory: `tokenizer.json`, or RoBERTa's `vocab.json` and `merges.txt`.

use std::collections::BTreeMap;
use std::path::Path;

use musicot_core::files::read_json;
use musicot_core::{Error, Result};
use serde_json::{Map, Value, json};

use crate::config::TextConfig;
use crate::text::TextTokenizer;

/// The special tokens by their role, and what RoBERTa calls them.
const SPECIAL: [(&str, &str); 7] = [
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("unk_token", "<unk>"),
    ("sep_token", "</s>"),
    ("pad_token", "<pad>"),
    ("cls_token", "<s>"),
    ("mask_token", "<mask>"),
];

/// Classes of transformers that read the two files as RoBERTa does.
const CLASSES: [&str; 2] = ["RobertaTokenizer", "RobertaTokenizerFast"];

/// Reads the tokenizer; `tokenizer.json` counts where both forms are there.
pub(crate) fn tokenizer(dir: &Path, text: &TextConfig) -> Result<TextTokenizer> {
    let settings = Settings::read(dir)?;
    let whole = dir.join("tokenizer.json");
    let tokenizer = if whole.exists() || !dir.join("vocab.json").exists() {
        TextTokenizer::load(&whole, text.max_tokens, text.pad_token_id)?
    } else {
        let json = from_vocabulary(dir, &settings)?;
        TextTokenizer::from_json(json, text.max_tokens, text.pad_token_id)
            .map_err(|e| Error::format(dir.join("vocab.json"), e.to_string()))?
    };
    let padding = tokenizer.id(&settings.content("pad_token"));
    Ok(tokenizer.with_padding(padding.unwrap_or(text.pad_token_id)))
}

/// The longest text, in tokens, that `tokenizer_config.json` allows; `None` where it sets no limit.
pub(crate) fn token_limit(dir: &Path) -> Result<Option<i64>> {
    // Transformers writes 10^30 for no limit.
    let limit = Settings::read(dir)?.all.get("model_max_length").and_then(Value::as_i64);
    Ok(limit.filter(|limit| *limit > 0))
}

/// `tokenizer_config.json` and, for what it does not say, `special_tokens_map.json`; either may be absent.
struct Settings {
    all: Map<String, Value>,
}

impl Settings {
    fn read(dir: &Path) -> Result<Self> {
        let mut all = Map::new();
        for name in ["special_tokens_map.json", "tokenizer_config.json"] {
            let path = dir.join(name);
            if path.exists() {
                all.extend(read_json::<Map<String, Value>>(&path)?);
            }
        }
        all.retain(|_, value| !value.is_null());
        Ok(Self { all })
    }

    /// The text of a special token.
    fn content(&self, role: &str) -> String {
        let usual = SPECIAL.iter().find(|(name, _)| *name == role).map_or("", |(_, usual)| usual);
        let own =
            self.all.get(role).and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
        own.unwrap_or(usual).to_owned()
    }

    /// The special tokens with what each of them swallows, in the form of `tokenizer.json`.
    fn tokens(&self, vocabulary: &Map<String, Value>) -> std::result::Result<Vec<Value>, String> {
        let mut by_id = BTreeMap::new();
        let declared = self.all.get("added_tokens_decoder").and_then(Value::as_object);
        for (role, _) in SPECIAL {
            let content = self.content(role);
            let id = vocabulary
                .get(&content)
                .and_then(Value::as_u64)
                .ok_or_else(|| format!("the {role} `{content}` is missing"))?;
            let own = self.all.get(role).filter(|token| token.is_object());
            let declared = declared.and_then(|all| all.get(&id.to_string()));
            let flag = |name: &str| {
                let said = declared.or(own).and_then(|token| token.get(name)?.as_bool());
                said.unwrap_or(false)
            };
            let token = json!({"id": id, "content": content, "special": true, "normalized": false,
                "single_word": flag("single_word"), "lstrip": flag("lstrip"), "rstrip": flag("rstrip")});
            // A token of several roles is the one that says more.
            let entry = by_id.entry(id).or_insert_with(|| token.clone());
            if own.is_some() {
                *entry = token;
            }
        }
        Ok(by_id.into_values().collect())
    }

    /// Whether the first word counts as one behind a space.
    fn adds_space(&self) -> bool {
        self.all.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(false)
    }
}

/// Byte-level pairs between `<s>` and `</s>`, in the form of `tokenizer.json`.
fn from_vocabulary(dir: &Path, settings: &Settings) -> Result<String> {
    if let Some(class) = settings.all.get("tokenizer_class").and_then(Value::as_str)
        && !CLASSES.contains(&class)
    {
        let reason =
            format!("key `tokenizer_class`: expected {} (or a tokenizer.json), got {class}", CLASSES[0]);
        return Err(Error::format(dir.join("tokenizer_config.json"), reason));
    }
    let path = dir.join("vocab.json");
    let vocabulary: Map<String, Value> = read_json(&path)?;
    let added = settings.tokens(&vocabulary).map_err(|reason| Error::format(&path, reason))?;
    let merges = merges(&dir.join("merges.txt"))?;
    let id = |role: &str| {
        let content = settings.content(role);
        json!([content, vocabulary.get(&content)])
    };
    let (sep, cls, space) = (id("sep_token"), id("cls_token"), settings.adds_space());
    let pieces =
        json!({"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": true});
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": pieces, "decoder": pieces,
        "post_processor": {"type": "RobertaProcessing", "sep": sep, "cls": cls, "trim_offsets": true,
            "add_prefix_space": space},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges},
    })
    .to_string())
}

/// The pairs of a `merges.txt`, one a line, behind a line with its version.
fn merges(path: &Path) -> Result<Vec<[String; 2]>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.starts_with("#version") && !line.is_empty());
    lines
        .map(|(number, line)| match line.split(' ').collect::<Vec<_>>()[..] {
            [left, right] => Ok([left.to_owned(), right.to_owned()]),
            _ => {
                let reason = format!("line {}: expected two parts, got `{line}`", number + 1);
                Err(Error::format(path, reason))
            }
        })
        .collect()
}
