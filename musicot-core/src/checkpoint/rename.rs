//! From the names in a file to the names in a model, apart from model code.

use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Rule {
    Replace(String, String),
    StripPrefix(String),
    DropContaining(String),
}

/// Rules that turn a file's tensor names into a model's; applied in the order they were added.
///
/// ```
/// use musicot_core::KeyMap;
/// let map = KeyMap::default().strip_prefix("module.").replace(".gamma", ".weight").drop_containing("position_ids");
/// let renamed = map.apply(["module.norm.gamma".to_owned(), "module.position_ids".to_owned()]);
/// assert_eq!(renamed["norm.weight"], "module.norm.gamma");
/// assert_eq!(renamed.len(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeyMap {
    rules: Vec<Rule>,
}

impl KeyMap {
    /// Replaces every occurrence of `from` (nothing where `from` is empty).
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        if from.is_empty() {
            return self;
        }
        self.rules.push(Rule::Replace(from.to_owned(), to.to_owned()));
        self
    }

    /// Removes a leading `prefix` where there is one.
    pub fn strip_prefix(mut self, prefix: &str) -> Self {
        self.rules.push(Rule::StripPrefix(prefix.to_owned()));
        self
    }

    /// Ignores tensors whose name contains `part`.
    pub fn drop_containing(mut self, part: &str) -> Self {
        self.rules.push(Rule::DropContaining(part.to_owned()));
        self
    }

    /// Model name to file name. Where several names become the same one, the last of them is kept (loading reports that
    /// instead).
    pub fn apply(&self, names: impl IntoIterator<Item = String>) -> BTreeMap<String, String> {
        self.pairs(names).into_iter().collect()
    }

    /// Pairs of model name and file name.
    pub(super) fn pairs(&self, names: impl IntoIterator<Item = String>) -> Vec<(String, String)> {
        names.into_iter().filter_map(|name| Some((self.rename(&name)?, name))).collect()
    }

    fn rename(&self, name: &str) -> Option<String> {
        let mut renamed = name.to_owned();
        for rule in &self.rules {
            match rule {
                Rule::Replace(from, to) => renamed = renamed.replace(from, to),
                Rule::StripPrefix(prefix) => {
                    if let Some(rest) = renamed.strip_prefix(prefix) {
                        renamed = rest.to_owned();
                    }
                }
                Rule::DropContaining(part) if renamed.contains(part) => return None,
                Rule::DropContaining(_) => {}
            }
        }
        Some(renamed)
    }
}
