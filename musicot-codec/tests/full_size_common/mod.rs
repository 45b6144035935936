//! What tests of published sizes share: files of random weights made on the spot, and the memory of this process.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use musicot_core::tch::{Kind, Tensor};
use serde_json::{Map, Value, json};

/// Writes a safetensors file of f32, a tensor at a time; `values` makes the tensor of a name and shape. Returns the number of values.
pub fn write_weights(
    path: &Path,
    layout: &[(String, Vec<i64>)],
    values: impl Fn(&str, &[i64]) -> Tensor,
) -> i64 {
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in layout {
        let start = end;
        end += 4 * shape.iter().product::<i64>();
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let header = Value::Object(header).to_string();
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    for (name, shape) in layout {
        let values = values(name, shape).to_kind(Kind::Float);
        assert_eq!(&values.size(), shape, "{name}");
        let mut bytes = vec![0; values.numel() * 4];
        values.copy_data_u8(&mut bytes, values.numel());
        file.write_all(&bytes).unwrap();
    }
    file.flush().unwrap();
    end / 4
}

/// One test at a time, as the memory of a process is that of all of them.
static ALONE: Mutex<()> = Mutex::new(());

/// `write` makes a checkpoint and says how many values it has; `run` loads and runs it. From then on, memory may take 30 % more than the
/// weights, and 500 MB.
pub fn within_memory(write: impl FnOnce(&Path) -> i64, run: impl FnOnce(&Path)) {
    let _alone = ALONE.lock();
    let folder = tempfile::tempdir().unwrap();
    let values = write(folder.path());
    // From here on.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    run(folder.path());
    let after = peak();
    println!("{values} values, peak {before} bytes before loading, {after} after running");
    let weights = 4 * values;
    assert!(
        after <= weights + weights * 3 / 10 + 500_000_000,
        "{after} bytes for {weights} bytes of weights"
    );
}

/// Most memory that this process has held since the count was last begun, bytes.
fn peak() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 1024
}
