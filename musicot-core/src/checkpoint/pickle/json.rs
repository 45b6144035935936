//! What is no tensor in a pickle, as JSON.

use serde_json::{Map, Number, Value as Json};

use super::value::{Heap, Value};
use super::{Parsed, limits};

/// Memory of one value, roughly.
const VALUE_BYTES: usize = 64;

/// The entries of the top level, if it is a dict; see [`crate::Checkpoint::metadata`] for what is left out.
pub(super) fn metadata(heap: &Heap<'_>, top: Value<'_>) -> Parsed<Map<String, Json>> {
    let mut writer = Writer { heap, left: limits::JSON_BYTES };
    Ok(match writer.value(top, 0)? {
        Some(Json::Object(entries)) => entries,
        _ => Map::new(),
    })
}

/// Values may share others, and hold themselves; hence a depth and a budget.
struct Writer<'h, 'a> {
    heap: &'h Heap<'a>,
    /// Bytes that may still be written.
    left: usize,
}

impl Writer<'_, '_> {
    /// `None` for what JSON cannot hold.
    fn value(&mut self, value: Value<'_>, depth: usize) -> Parsed<Option<Json>> {
        if depth > limits::JSON_DEPTH {
            return Err(format!("metadata is nested deeper than {} levels", limits::JSON_DEPTH));
        }
        self.spend(VALUE_BYTES)?;
        Ok(match value {
            Value::None => Some(Json::Null),
            Value::Bool(value) => Some(Json::Bool(value)),
            Value::Int(value) => Some(value.into()),
            Value::Float(value) => Some(Number::from_f64(value).map_or(Json::Null, Json::Number)),
            Value::Text(text) => Some(Json::String(self.text(text)?)),
            Value::List(_) | Value::Tuple(_) => Some(self.array(value, depth)?),
            Value::Dict(_) => self.object(value, depth)?,
            _ => None,
        })
    }

    fn array(&mut self, list: Value<'_>, depth: usize) -> Parsed<Json> {
        let items = self.heap.sequence(list).unwrap_or_default();
        let items = items.iter().map(|item| Ok(self.value(*item, depth + 1)?.unwrap_or_default()));
        Ok(Json::Array(items.collect::<Parsed<_>>()?))
    }

    /// `None` for a dict of which nothing is left.
    fn object(&mut self, dict: Value<'_>, depth: usize) -> Parsed<Option<Json>> {
        let Some(items) = self.heap.dict(dict) else { return Ok(None) };
        let mut object = Map::new();
        for (key, value) in items {
            // Also for what is left out: a dict may be met many times.
            self.spend(VALUE_BYTES)?;
            let key = match key {
                Value::Text(text) => self.text(text)?,
                Value::Int(number) => number.to_string(),
                _ => continue,
            };
            if let Some(value) = self.value(*value, depth + 1)? {
                object.insert(key, value);
            }
        }
        Ok((items.is_empty() || !object.is_empty()).then_some(Json::Object(object)))
    }

    fn text(&mut self, text: &str) -> Parsed<String> {
        self.spend(text.len())?;
        Ok(text.to_owned())
    }

    fn spend(&mut self, bytes: usize) -> Parsed<()> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| format!("metadata takes more than {} bytes", limits::JSON_BYTES))?;
        Ok(())
    }
}
