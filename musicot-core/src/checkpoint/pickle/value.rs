//! What a pickle can make here: plain data.

use super::Parsed;
use super::globals::Global;
use super::scalar::ScalarType;
use super::view::{Storage, View};

/// A value; containers, storages and tensors are places in the [`Heap`], since several values may share them. Nothing
/// here is freed by recursion, however deep a file nests.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Bytes(Bytes<'a>),
    List(usize),
    Tuple(usize),
    Dict(usize),
    Storage(usize),
    Tensor(usize),
    Global(Global),
    ScalarType(ScalarType),
    /// Something harmless that no reader needs, such as a device.
    Opaque,
}

/// Bytes as they are in the pickle: protocol 2 writes them as a text, one character below 256 per byte.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bytes<'a> {
    Raw(&'a [u8]),
    Latin1(&'a str),
}

impl Bytes<'_> {
    /// Exactly `N` bytes; `None` when there is another number of them.
    pub(super) fn array<const N: usize>(self) -> Option<[u8; N]> {
        match self {
            Self::Raw(bytes) => bytes.try_into().ok(),
            Self::Latin1(text) => {
                let mut characters = text.chars();
                let mut array = [0; N];
                for byte in &mut array {
                    *byte = u8::try_from(u32::from(characters.next()?)).ok()?;
                }
                characters.next().is_none().then_some(array)
            }
        }
    }
}

impl Value<'_> {
    /// As a message calls it.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dict",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
            Self::Global(_) => "a global",
            Self::ScalarType(_) => "a numpy dtype",
            Self::Opaque => "an object",
        }
    }
}

/// Items of a dict in the order of writing; a key given again is there again.
pub(super) type Items<'a> = Vec<(Value<'a>, Value<'a>)>;

/// What values refer to.
#[derive(Debug, Default)]
pub(super) struct Heap<'a> {
    lists: Vec<Vec<Value<'a>>>,
    dicts: Vec<Items<'a>>,
    storages: Vec<Storage>,
    views: Vec<View>,
}

impl<'a> Heap<'a> {
    pub(super) fn add_list(&mut self, items: Vec<Value<'a>>) -> Value<'a> {
        Value::List(push(&mut self.lists, items))
    }

    pub(super) fn add_tuple(&mut self, items: Vec<Value<'a>>) -> Value<'a> {
        Value::Tuple(push(&mut self.lists, items))
    }

    pub(super) fn add_dict(&mut self) -> Value<'a> {
        Value::Dict(push(&mut self.dicts, Items::new()))
    }

    pub(super) fn add_storage(&mut self, storage: Storage) -> Value<'a> {
        Value::Storage(push(&mut self.storages, storage))
    }

    pub(super) fn add_view(&mut self, view: View) -> Value<'a> {
        Value::Tensor(push(&mut self.views, view))
    }

    /// Tensors so far.
    pub(super) fn views(&self) -> usize {
        self.views.len()
    }

    pub(super) fn view(&self, place: usize) -> Option<&View> {
        self.views.get(place)
    }

    pub(super) fn storage(&self, value: Value<'_>) -> Parsed<&Storage> {
        match value {
            Value::Storage(place) => self.storages.get(place),
            _ => None,
        }
        .ok_or_else(|| format!("expected a storage, got {}", value.what()))
    }

    pub(super) fn tuple(&self, value: Value<'_>) -> Parsed<&[Value<'a>]> {
        match value {
            Value::Tuple(place) => self.lists.get(place),
            _ => None,
        }
        .map(Vec::as_slice)
        .ok_or_else(|| format!("expected a tuple, got {}", value.what()))
    }

    /// Items of a list or tuple.
    pub(super) fn sequence(&self, value: Value<'_>) -> Option<&[Value<'a>]> {
        match value {
            Value::List(place) | Value::Tuple(place) => self.lists.get(place).map(Vec::as_slice),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: Value<'_>) -> Option<&Items<'a>> {
        match value {
            Value::Dict(place) => self.dicts.get(place),
            _ => None,
        }
    }

    pub(super) fn list_mut(&mut self, value: Value<'_>) -> Parsed<&mut Vec<Value<'a>>> {
        match value {
            Value::List(place) => self.lists.get_mut(place),
            _ => None,
        }
        .ok_or_else(|| format!("expected a list, got {}", value.what()))
    }

    pub(super) fn dict_mut(&mut self, value: Value<'_>) -> Parsed<&mut Items<'a>> {
        match value {
            Value::Dict(place) => self.dicts.get_mut(place),
            _ => None,
        }
        .ok_or_else(|| format!("expected a dict, got {}", value.what()))
    }
}

/// Adds a value and returns its place.
fn push<T>(all: &mut Vec<T>, value: T) -> usize {
    all.push(value);
    all.len() - 1
}
