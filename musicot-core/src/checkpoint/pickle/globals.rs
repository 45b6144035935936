//! The globals that a pickle may name, and what calling them means here.

use tch::Kind;

use super::machine::Machine;
use super::scalar::ScalarType;
use super::value::{Bytes, Value};
use super::view::{Layout, View};
use super::{Parsed, limits, shown};

/// An allowed global.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    /// `_rebuild_parameter` and, with the attributes of the parameter behind the rest, `_rebuild_parameter_with_state`.
    RebuildParameter,
    Storage(Kind),
    Size,
    Device,
    NumpyScalar,
    NumpyDtype,
    Encode,
}

/// The value of a name, if it is on the list.
pub(super) fn resolve<'a>(module: &str, name: &str) -> Parsed<Value<'a>> {
    let value = match (module, name) {
        ("collections", "OrderedDict") => Some(Value::Global(Global::OrderedDict)),
        ("torch._utils", "_rebuild_tensor_v2") => Some(Value::Global(Global::RebuildTensor)),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Some(Value::Global(Global::RebuildParameter))
        }
        ("torch", "Size") => Some(Value::Global(Global::Size)),
        ("torch", "device") => Some(Value::Global(Global::Device)),
        ("torch", name) => {
            let storage = storage_kind(name).map(|kind| Value::Global(Global::Storage(kind)));
            storage.or_else(|| dtype(name).map(Value::Text))
        }
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => {
            Some(Value::Global(Global::NumpyScalar))
        }
        ("numpy", "dtype") => Some(Value::Global(Global::NumpyDtype)),
        ("_codecs", "encode") => Some(Value::Global(Global::Encode)),
        _ => None,
    };
    value.ok_or_else(|| {
        format!(
            "names `{}.{}`, which is not among what a file of tensors needs and is not run; save the tensors alone \
             in Python, as safetensors or with `torch.save(model.state_dict(), path)`",
            shown(module),
            shown(name)
        )
    })
}

/// Element type of a storage class.
fn storage_kind(name: &str) -> Option<Kind> {
    Some(match name {
        "DoubleStorage" => Kind::Double,
        "FloatStorage" => Kind::Float,
        "HalfStorage" => Kind::Half,
        "BFloat16Storage" => Kind::BFloat16,
        "LongStorage" => Kind::Int64,
        "IntStorage" => Kind::Int,
        "ShortStorage" => Kind::Int16,
        "CharStorage" => Kind::Int8,
        "ByteStorage" => Kind::Uint8,
        "BoolStorage" => Kind::Bool,
        _ => return None,
    })
}

/// An element type as metadata tells it.
fn dtype(name: &str) -> Option<&'static str> {
    Some(match name {
        "float64" => "torch.float64",
        "float32" => "torch.float32",
        "float16" => "torch.float16",
        "bfloat16" => "torch.bfloat16",
        "int64" => "torch.int64",
        "int32" => "torch.int32",
        "int16" => "torch.int16",
        "int8" => "torch.int8",
        "uint8" => "torch.uint8",
        "bool" => "torch.bool",
        "complex64" => "torch.complex64",
        "complex128" => "torch.complex128",
        _ => return None,
    })
}

impl<'a> Machine<'_, 'a> {
    /// Calls a global with a tuple of arguments.
    pub(super) fn call(&mut self, function: Value<'a>, arguments: Value<'a>) -> Parsed<Value<'a>> {
        let Value::Global(global) = function else {
            return Err(format!("expected a function to call, got {}", function.what()));
        };
        let arguments = self.heap.tuple(arguments)?;
        match (global, arguments) {
            (Global::OrderedDict, []) => Ok(self.heap.add_dict()),
            // Behind these come requires_grad, hooks and, in newer versions, metadata: nothing that changes values.
            (
                Global::RebuildTensor,
                &[storage, offset, shape, stride, _, _] | &[storage, offset, shape, stride, _, _, _],
            ) => self.rebuild_tensor(storage, offset, shape, stride),
            (
                Global::RebuildParameter,
                &[tensor @ Value::Tensor(_), _, _] | &[tensor @ Value::Tensor(_), _, _, _],
            ) => Ok(tensor),
            (Global::Size, &[sizes @ Value::Tuple(_)]) => Ok(sizes),
            (Global::Device, [Value::Text(_)] | [Value::Text(_), Value::Int(_)]) => Ok(Value::Opaque),
            (Global::NumpyDtype, [Value::Text(code), Value::Bool(_), Value::Bool(_)]) => {
                Ok(Value::ScalarType(ScalarType::of(code)))
            }
            (Global::NumpyScalar, &[Value::ScalarType(scalar), Value::Bytes(bytes)]) => scalar.value(bytes),
            (Global::Encode, &[Value::Text(text), Value::Text("latin1")]) => {
                Ok(Value::Bytes(Bytes::Latin1(text)))
            }
            _ => {
                let given: Vec<&str> = arguments.iter().take(8).map(|value| value.what()).collect();
                Err(format!("{global:?} is called with unexpected arguments: ({})", given.join(", ")))
            }
        }
    }

    fn rebuild_tensor(
        &mut self,
        storage: Value<'a>,
        offset: Value<'a>,
        shape: Value<'a>,
        stride: Value<'a>,
    ) -> Parsed<Value<'a>> {
        if self.heap.views() == limits::TENSORS {
            return Err(format!("expected {} tensors at most", limits::TENSORS));
        }
        let layout = Layout {
            offset: integer(offset)?,
            shape: integers(self.heap.tuple(shape)?)?,
            stride: integers(self.heap.tuple(stride)?)?,
        };
        let view = View::new(self.heap.storage(storage)?, layout)?;
        Ok(self.heap.add_view(view))
    }

    /// Gives a value its state, where that is allowed and means anything.
    pub(super) fn build(&self, target: Value<'a>, state: Value<'a>) -> Parsed<()> {
        match target {
            // `_metadata` of modules, and attributes: no part of the values.
            Value::Dict(_) | Value::Tensor(_) => Ok(()),
            Value::ScalarType(_) => match self.heap.tuple(state)? {
                [_, Value::Text("<" | "|" | "="), ..] => Ok(()),
                _ => Err("a numpy dtype is not little-endian".to_owned()),
            },
            other => Err(format!("expected something that has a state, got {}", other.what())),
        }
    }
}

fn integer(value: Value<'_>) -> Parsed<i64> {
    match value {
        Value::Int(value) => Ok(value),
        other => Err(format!("expected an integer, got {}", other.what())),
    }
}

/// Sizes or strides.
fn integers(values: &[Value<'_>]) -> Parsed<Vec<i64>> {
    if values.len() > limits::AXES {
        return Err(format!("expected {} axes at most, got {}", limits::AXES, values.len()));
    }
    values.iter().map(|value| integer(*value)).collect()
}
