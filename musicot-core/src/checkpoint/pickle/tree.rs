//! Finding the dict of tensors in what a pickle made.

use std::collections::BTreeMap;

use super::value::{Heap, Items, Value};
use super::view::View;
use super::{Parsed, shown};

/// The key under which training scripts keep the weights.
const STATE_DICT: &str = "state_dict";
/// Keys listed in a message; the rest is counted.
const LISTED: usize = 8;

/// Names and places of the tensors in the dict that `at` leads to, by default as [`crate::Checkpoint`] says.
pub(super) fn tensors(
    heap: &Heap<'_>,
    top: Value<'_>,
    at: Option<&[&str]>,
) -> Parsed<BTreeMap<String, View>> {
    let mut items = dict(heap, top, "the top level")?;
    let keys = match at {
        Some(keys) => keys,
        None if get(items, STATE_DICT)?.is_some_and(|value| heap.dict(value).is_some()) => &[STATE_DICT],
        None => &[],
    };
    for key in keys {
        let value = get(items, key)?;
        let value = value.ok_or_else(|| format!("expected the key `{key}`, got {}", listed(items)))?;
        items = dict(heap, value, &format!("`{key}`"))?;
    }
    // Beside tensors that are by themselves anything else is unexpected; scripts put more into what they nest.
    let is_plain = at.is_none() && keys.is_empty();
    collect(heap, items, is_plain)
}

fn collect(heap: &Heap<'_>, items: &Items<'_>, is_plain: bool) -> Parsed<BTreeMap<String, View>> {
    let mut tensors = BTreeMap::new();
    let mut other = None;
    for (key, value) in items {
        let view = match value {
            Value::Tensor(place) => heap.view(*place),
            _ => None,
        };
        match (key, view) {
            (Value::Text(name), Some(view)) => {
                if tensors.insert((*name).to_owned(), view.clone()).is_some() {
                    return Err(format!("tensor `{}` is there twice", shown(name)));
                }
            }
            (key, Some(_)) => return Err(format!("a tensor's name is {}, expected a text", label(key))),
            (key, None) => other = other.or(Some((key, value))),
        }
    }
    match other {
        Some(_) if tensors.is_empty() => Err(format!(
            "expected a dict of tensors, or one under the key `{STATE_DICT}`, got {} (`Checkpoint::open_at` takes another)",
            listed(items)
        )),
        Some((key, value)) if is_plain => {
            Err(format!("{}: expected a tensor as its neighbours are, got {}", label(key), value.what()))
        }
        _ => Ok(tensors),
    }
}

fn dict<'h, 'a>(heap: &'h Heap<'a>, value: Value<'_>, what: &str) -> Parsed<&'h Items<'a>> {
    heap.dict(value).ok_or_else(|| format!("expected a dict as {what}, got {}", value.what()))
}

/// The value of a key, which must not be there twice.
fn get<'a>(items: &Items<'a>, wanted: &str) -> Parsed<Option<Value<'a>>> {
    let mut found = items.iter().filter(|(key, _)| matches!(key, Value::Text(name) if *name == wanted));
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(format!("the key `{wanted}` is there twice")),
        (first, _) => Ok(first.map(|(_, value)| *value)),
    }
}

fn listed(items: &Items<'_>) -> String {
    if items.is_empty() {
        return "an empty dict".to_owned();
    }
    let names: Vec<String> = items.iter().take(LISTED).map(|(key, _)| label(key)).collect();
    let rest = items.len().saturating_sub(LISTED);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("a dict of {}{rest}", names.join(", "))
}

/// A key as a message shows it.
fn label(key: &Value<'_>) -> String {
    match key {
        Value::Text(name) => format!("`{}`", shown(name)),
        Value::Int(value) => value.to_string(),
        other => other.what().to_owned(),
    }
}
