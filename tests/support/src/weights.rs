//! Safetensors files that never are in memory as a whole.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use musicot_core::tch::{Kind, Tensor};
use serde_json::{Map, Value, json};

/// Names and shapes.
pub type Layout = Vec<(String, Vec<i64>)>;

/// The counter of PyTorch's batch norms, the one tensor of published models that is of integers.
const COUNTER: &str = "num_batches_tracked";

/// Writes a safetensors file, a tensor at a time, with floating-point elements of type `kind` (f32 or bf16); `values` makes the tensor of a
/// name and shape. Returns the number of values.
///
/// # Panics
/// When a file cannot be written, or a tensor is of another shape.
pub fn write_weights(
    path: &Path,
    kind: Kind,
    layout: &Layout,
    values: impl Fn(&str, &[i64]) -> Tensor,
) -> i64 {
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in layout {
        let (dtype, bytes) = element(name, kind);
        let start = end;
        end += bytes * shape.iter().product::<i64>();
        header.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] }));
    }
    let header = Value::Object(header).to_string();
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    for (name, shape) in layout {
        let values = values(name, shape);
        assert_eq!(&values.size(), shape, "{name}");
        let stored = values.to_kind(if name.ends_with(COUNTER) { Kind::Int64 } else { kind });
        let mut bytes = vec![0; stored.numel() * stored.kind().elt_size_in_bytes()];
        stored.copy_data_u8(&mut bytes, stored.numel());
        file.write_all(&bytes).unwrap();
    }
    file.flush().unwrap();
    layout.iter().map(|(_, shape)| shape.iter().product::<i64>()).sum()
}

/// The format's name of a tensor's elements, and their size.
fn element(name: &str, kind: Kind) -> (&'static str, i64) {
    match kind {
        _ if name.ends_with(COUNTER) => ("I64", 8),
        Kind::BFloat16 => ("BF16", 2),
        _ => ("F32", 4),
    }
}
