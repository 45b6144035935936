//! From the names in a file to the names in a model, apart from model code.

use super::source::Source;

#[derive(Debug, Clone)]
enum Rule {
    Replace(String, String),
    StripPrefix(String),
    Below(String),
    DropContaining(String),
    DropExact(String),
    Split(String, Vec<String>),
}

/// Rules that turn a file's tensor names into a model's; applied in the order they were added.
///
/// ```
/// use musicot_core::KeyMap;
/// let map = KeyMap::default().strip_prefix("module.").replace(".gamma", ".weight").drop_containing("position_ids");
/// assert_eq!(map.rename("module.norm.gamma"), ["norm.weight"]);
/// assert!(map.rename("module.position_ids").is_empty());
/// let map = map.drop_exact("head.weight");
/// assert_eq!((map.rename("head.weight").len(), map.rename("my_head.weight").len()), (0, 1));
/// let parts = map.split("qkv.", &["query.", "key.", "value."]);
/// assert_eq!(parts.rename("attn.qkv.bias"), ["attn.query.bias", "attn.key.bias", "attn.value.bias"]);
/// let one = KeyMap::default().below("decoder.");
/// assert_eq!(one.rename("decoder.norm.weight"), ["norm.weight"]);
/// assert!(one.rename("encoder.norm.weight").is_empty());
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

    /// Takes only the tensors whose name begins with `prefix`, without it: one model of a file that holds several.
    pub fn below(mut self, prefix: &str) -> Self {
        self.rules.push(Rule::Below(prefix.to_owned()));
        self
    }

    /// Ignores tensors whose name contains `part`.
    pub fn drop_containing(mut self, part: &str) -> Self {
        self.rules.push(Rule::DropContaining(part.to_owned()));
        self
    }

    /// Ignores the tensor that is called `name` after the rules before this one.
    pub fn drop_exact(mut self, name: &str) -> Self {
        self.rules.push(Rule::DropExact(name.to_owned()));
        self
    }

    /// Cuts a tensor whose name contains `from` along its first axis into as many equal parts as `to` has names; each part's name has
    /// its element of `to` for `from`. A tensor is cut once, by the first such rule.
    pub fn split(mut self, from: &str, to: &[&str]) -> Self {
        if !from.is_empty() && !to.is_empty() {
            self.rules.push(Rule::Split(from.to_owned(), to.iter().map(|name| (*name).to_owned()).collect()));
        }
        self
    }

    /// The model's names for a file's tensor: one, several where it is cut, none where it is ignored.
    pub fn rename(&self, name: &str) -> Vec<String> {
        self.sources(name).into_iter().map(|(renamed, _)| renamed).collect()
    }

    /// The model's names with what each is made of.
    pub(super) fn pairs(&self, names: impl IntoIterator<Item = String>) -> Vec<(String, Source)> {
        names.into_iter().flat_map(|name| self.sources(&name)).collect()
    }

    fn sources(&self, name: &str) -> Vec<(String, Source)> {
        let mut all = vec![(name.to_owned(), Source::Whole(name.to_owned()))];
        for rule in &self.rules {
            all = all.into_iter().flat_map(|pair| apply(rule, pair)).collect();
        }
        all
    }
}

fn apply(rule: &Rule, (renamed, source): (String, Source)) -> Vec<(String, Source)> {
    match (rule, &source) {
        (Rule::Replace(from, to), _) => vec![(renamed.replace(from, to), source)],
        (Rule::StripPrefix(prefix), _) => match renamed.strip_prefix(prefix) {
            Some(rest) => vec![(rest.to_owned(), source)],
            None => vec![(renamed, source)],
        },
        (Rule::Below(prefix), _) => match renamed.strip_prefix(prefix) {
            Some(rest) => vec![(rest.to_owned(), source)],
            None => Vec::new(),
        },
        (Rule::DropContaining(part), _) if renamed.contains(part) => Vec::new(),
        (Rule::DropExact(name), _) if renamed == *name => Vec::new(),
        (Rule::Split(from, to), Source::Whole(name)) if renamed.contains(from) => {
            let of = to.len() as i64;
            let part = |(index, to): (i64, &String)| {
                (renamed.replace(from, to), Source::Part { name: name.clone(), index, of })
            };
            (0..).zip(to).map(part).collect()
        }
        (Rule::DropContaining(_) | Rule::DropExact(_) | Rule::Split(..), _) => vec![(renamed, source)],
    }
}
