//! Numpy scalars, which training scripts leave among the numbers of a checkpoint.

use super::Parsed;
use super::value::{Bytes, Value};

/// Element type of a numpy scalar.
#[derive(Debug, Clone, Copy)]
pub(super) enum ScalarType {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    /// Text, dates and the like: their values are not read.
    Other,
}

impl ScalarType {
    /// From the code that numpy pickles.
    pub(super) fn of(code: &str) -> Self {
        match code {
            "b1" => Self::Bool,
            "i1" => Self::I8,
            "i2" => Self::I16,
            "i4" => Self::I32,
            "i8" => Self::I64,
            "u1" => Self::U8,
            "u2" => Self::U16,
            "u4" => Self::U32,
            "u8" => Self::U64,
            "f4" => Self::F32,
            "f8" => Self::F64,
            _ => Self::Other,
        }
    }

    /// The value whose bytes, little-endian, are given.
    pub(super) fn value<'a>(self, bytes: Bytes<'_>) -> Parsed<Value<'a>> {
        let value = match self {
            Self::Bool => bytes.array::<1>().map(|b| Value::Bool(b != [0])),
            Self::I8 => bytes.array().map(|b| Value::Int(i8::from_le_bytes(b).into())),
            Self::I16 => bytes.array().map(|b| Value::Int(i16::from_le_bytes(b).into())),
            Self::I32 => bytes.array().map(|b| Value::Int(i32::from_le_bytes(b).into())),
            Self::I64 => bytes.array().map(|b| Value::Int(i64::from_le_bytes(b))),
            Self::U8 => bytes.array().map(|b| Value::Int(u8::from_le_bytes(b).into())),
            Self::U16 => bytes.array().map(|b| Value::Int(u16::from_le_bytes(b).into())),
            Self::U32 => bytes.array().map(|b| Value::Int(u32::from_le_bytes(b).into())),
            Self::U64 => {
                bytes.array().map(|b| i64::try_from(u64::from_le_bytes(b)).map_or(Value::Opaque, Value::Int))
            }
            Self::F32 => bytes.array().map(|b| Value::Float(f32::from_le_bytes(b).into())),
            Self::F64 => bytes.array().map(|b| Value::Float(f64::from_le_bytes(b))),
            Self::Other => Some(Value::Opaque),
        };
        value.ok_or_else(|| format!("a numpy scalar of type {self:?} has another number of bytes"))
    }
}
