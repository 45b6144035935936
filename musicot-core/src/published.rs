//! Reading the `config.json` of a published model: strictly, so that nothing it claims is passed over.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tch::Kind;

use crate::files::read_json;
use crate::{Error, Result};

/// Keys that transformers and diffusers write into any file and that do not change what a forward pass computes.
const HARMLESS: [&str; 31] = [
    "_attn_implementation_autoset",
    "_class_name",
    "_commit_hash",
    "_diffusers_version",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "chunk_size_feed_forward",
    "eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "problem_type",
    "pruned_heads",
    "return_dict",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "use_bfloat16",
    "use_return_dict",
];

/// The keys of one object of a published configuration that have not been dealt with yet.
///
/// A reader takes what it knows, says what it accepts, and hands the rest to a type with `#[serde(deny_unknown_fields)]`, which names any key
/// that is left. A null stands for an absent key.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::published::PublishedConfig;
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Sizes {
///     hidden_size: i64,
/// }
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("config.json");
/// std::fs::write(&path, r#"{"model_type": "bert", "hidden_size": 24, "torch_dtype": "float32"}"#).unwrap();
/// let mut config = PublishedConfig::read(&path)?;
/// config.expect("model_type", "bert")?;
/// let sizes: Sizes = config.ignore_usual().parse()?;
/// assert_eq!(sizes.hidden_size, 24);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PublishedConfig {
    path: PathBuf,
    /// Keys of the objects around this one, with a full stop behind each.
    prefix: String,
    fields: Map<String, Value>,
}

impl PublishedConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] when it is not a JSON object.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Ok(Self::from_fields(path, read_json(path)?))
    }

    /// The fields of a file that was read in another way, such as YAML.
    pub fn from_fields(path: impl AsRef<Path>, fields: Map<String, Value>) -> Self {
        Self::of(path.as_ref().to_owned(), String::new(), fields)
    }

    fn of(path: PathBuf, prefix: String, mut fields: Map<String, Value>) -> Self {
        fields.retain(|_, value| !value.is_null());
        Self { path, prefix, fields }
    }

    /// What a key says.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key)
    }

    /// The keys that are left.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// Whether two objects have the same keys and values, wherever they stand.
    pub fn holds_what(&self, other: &Self) -> bool {
        self.fields == other.fields
    }

    /// Takes a key out.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.fields.remove(key)
    }

    /// Takes an object out.
    ///
    /// # Errors
    /// [`Error::Format`] when the value is not an object.
    pub fn take_object(&mut self, key: &str) -> Result<Option<Self>> {
        match self.fields.remove(key) {
            None => Ok(None),
            Some(Value::Object(fields)) => {
                Ok(Some(Self::of(self.path.clone(), format!("{}{key}.", self.prefix), fields)))
            }
            Some(other) => Err(self.wrong(key, format!("expected an object, got {other}"))),
        }
    }

    /// Takes a number, text or list out.
    ///
    /// # Errors
    /// [`Error::Format`] when the value is of another type.
    pub fn take_as<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        let Some(value) = self.fields.remove(key) else { return Ok(None) };
        serde_json::from_value(value).map(Some).map_err(|e| self.wrong(key, e.to_string()))
    }

    /// Sets a key, in place of what was there.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.fields.insert(key.to_owned(), value.into());
    }

    /// Sets a key that is absent.
    pub fn set_default(&mut self, key: &str, value: impl Into<Value>) {
        self.fields.entry(key).or_insert_with(|| value.into());
    }

    /// Gives a key another name, unless it is absent.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(value) = self.fields.remove(from) {
            self.fields.insert(to.to_owned(), value);
        }
    }

    /// Takes out a key that may be absent or have this one value, as another one would change the result in a way not known here.
    ///
    /// # Errors
    /// [`Error::Format`] names the key and its value.
    pub fn expect(&mut self, key: &str, value: impl Into<Value>) -> Result<()> {
        let expected = value.into();
        match self.fields.remove(key) {
            Some(found) if !same(&found, &expected) => {
                Err(self.wrong(key, format!("expected {expected}, got {found}")))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a key is there.
    ///
    /// # Errors
    /// [`Error::Format`] names the key.
    pub fn require(&self, key: &str) -> Result<()> {
        if self.fields.contains_key(key) { Ok(()) } else { Err(self.wrong(key, "is missing")) }
    }

    /// Takes out keys whatever they say.
    pub fn ignore(mut self, keys: &[&str]) -> Self {
        self.fields.retain(|key, _| !keys.contains(&key.as_str()));
        self
    }

    /// Takes out what any file may hold and no result depends on: names, versions, ids of special tokens, training settings, and the
    /// element type (see [`PublishedConfig::kind`]).
    pub fn ignore_usual(self) -> Self {
        self.ignore(&HARMLESS).ignore(&DTYPE_KEYS)
    }

    /// The element type the weights were saved in (`dtype`, or `torch_dtype` before transformers 5); `None` where the file says none.
    ///
    /// # Errors
    /// [`Error::Format`] for another value than `float32`, `float64`, `bfloat16` or `float16`.
    pub fn kind(&self) -> Result<Option<Kind>> {
        let found = DTYPE_KEYS.iter().filter_map(|key| Some((key, self.fields.get(*key)?)));
        let kinds =
            found.map(|(key, value)| match value.as_str().map(|name| name.trim_start_matches("torch.")) {
                Some("float32") => Ok(Kind::Float),
                Some("float64") => Ok(Kind::Double),
                Some("bfloat16") => Ok(Kind::BFloat16),
                Some("float16") => Ok(Kind::Half),
                _ => {
                    Err(self
                        .wrong(key, format!("expected float32, float64, bfloat16 or float16, got {value}")))
                }
            });
        Ok(kinds.collect::<Result<Vec<_>>>()?.first().copied())
    }

    /// Reads the keys that are left.
    ///
    /// # Errors
    /// [`Error::Format`] names a key that is missing, of another type or, where `T` denies unknown fields, not known.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T> {
        let Self { path, prefix, fields } = self;
        serde_json::from_value(Value::Object(fields)).map_err(|e| {
            let place = if prefix.is_empty() {
                String::new()
            } else {
                format!("in `{}`: ", prefix.trim_end_matches('.'))
            };
            Error::format(path, format!("{place}{e}"))
        })
    }

    /// Ends the reading of an object of which everything has been taken.
    ///
    /// # Errors
    /// [`Error::Format`] names a key that is left.
    pub fn finish(self) -> Result<()> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(key) => Err(self.wrong(key, "is not known")),
        }
    }

    /// An error about a key of this object.
    pub fn wrong(&self, key: &str, reason: impl std::fmt::Display) -> Error {
        Error::format(&self.path, format!("key `{}{key}`: {reason}", self.prefix))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl From<PublishedConfig> for Value {
    fn from(config: PublishedConfig) -> Self {
        Self::Object(config.fields)
    }
}

/// The newer spelling, which counts, then the older one.
const DTYPE_KEYS: [&str; 2] = ["dtype", "torch_dtype"];

/// Equal, where 1 and 1.0 are.
fn same(found: &Value, expected: &Value) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => found == expected,
        _ => found == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sizes {
        width: i64,
    }

    fn config(text: &str) -> PublishedConfig {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        PublishedConfig::read(path).unwrap()
    }

    #[test]
    fn what_is_left_is_named_with_its_place() {
        let mut all =
            config(r#"{"width": 2, "dtype": "bfloat16", "inner": {"width": 3, "more": 1}, "nothing": null}"#);
        assert_eq!(all.kind().unwrap(), Some(Kind::BFloat16));
        let inner = all.take_object("inner").unwrap().unwrap();
        let message = inner.clone().parse::<Sizes>().unwrap_err().to_string();
        assert!(message.contains("config.json: in `inner`: ") && message.contains("`more`"), "{message}");
        assert_eq!(inner.ignore(&["more"]).parse::<Sizes>().unwrap(), Sizes { width: 3 });
        assert!(all.clone().finish().unwrap_err().to_string().contains("`dtype`"));
        assert_eq!(all.ignore_usual().parse::<Sizes>().unwrap(), Sizes { width: 2 });
    }

    #[test]
    fn expected_values_may_be_absent_but_not_other_ones() {
        let mut all =
            config(r#"{"act": "gelu", "factor": 1.0, "flag": false, "width": "x", "dtype": "int4"}"#);
        all.expect("absent", 3).unwrap();
        all.expect("factor", 1).unwrap();
        let message = all.expect("act", "silu").unwrap_err().to_string();
        assert!(message.contains("key `act`: expected \"silu\", got \"gelu\""), "{message}");
        assert!(all.expect("flag", true).is_err());
        assert!(all.kind().unwrap_err().to_string().contains("int4"));
        assert!(all.take_object("width").is_err());
        let mut all = config(r#"{"width": "x", "old": 1}"#);
        all.rename("old", "new");
        all.set_default("new", 5);
        assert_eq!(all.take_as::<i64>("new").unwrap(), Some(1));
        assert!(all.take_as::<i64>("width").unwrap_err().to_string().contains("`width`"));
        all.set_default("width", 7);
        assert_eq!(all.parse::<Sizes>().unwrap(), Sizes { width: 7 });
    }
}
