//! An encoder of the published size, made on the spot: it loads within the memory promised, and runs.
#![cfg(target_os = "linux")]
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use musicot_codec::{SslConfig, SslEncoder};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{CounterRng, ParamStore, files};
use serde_json::{Map, Value, json};

/// Names and shapes of the published layout: the halves of a weight norm in place of the weight.
fn layout(config: &SslConfig) -> Vec<(String, Vec<i64>)> {
    let store = ParamStore::for_loading(Device::Cpu, Kind::Float);
    SslEncoder::new(&store.root(), config).unwrap();
    let halve = |(name, tensor): (String, Tensor)| {
        if name != "encoder.pos_conv_embed.conv.weight" {
            return vec![(name, tensor.size())];
        }
        vec![(format!("{name}_g"), vec![1, 1, tensor.size()[2]]), (format!("{name}_v"), tensor.size())]
    };
    store.named().into_iter().flat_map(halve).collect()
}

/// Writes a directory of random weights, a tensor at a time; returns the number of values.
fn publish(dir: &Path, config: &SslConfig) -> i64 {
    let mut settings = serde_json::to_value(config).unwrap();
    let fields = settings.as_object_mut().unwrap();
    let input =
        [("sampling_rate", fields.remove("sample_rate_hz")), ("do_normalize", fields.remove("normalize"))];
    files::write_json(dir.join("config.json"), &settings).unwrap();
    files::write_json(dir.join("preprocessor_config.json"), &BTreeMap::from(input)).unwrap();
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in layout(config) {
        let start = end;
        end += 4 * shape.iter().product::<i64>();
        header.insert(name, json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let header = Value::Object(header).to_string();
    let mut file = BufWriter::new(File::create(dir.join("model.safetensors")).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    for (name, shape) in layout(config) {
        let noise = CounterRng::new(1).stage(&name).normal(0, &shape, Device::Cpu).unwrap();
        let values = if shape.len() == 1 { noise * 0.1 + 1.0 } else { noise * 0.05 };
        let mut bytes = vec![0; values.numel() * 4];
        values.copy_data_u8(&mut bytes, values.numel());
        file.write_all(&bytes).unwrap();
    }
    file.flush().unwrap();
    end / 4
}

/// Most memory that this process has held since the count was last begun, bytes.
fn peak() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 1024
}

/// One test at a time, as the memory of a process is that of all of them.
static ALONE: Mutex<()> = Mutex::new(());

/// Loads and runs a directory; the weights may take 30 % more than their size, and 500 MB.
fn runs_within_memory(config: &SslConfig) {
    let _alone = ALONE.lock();
    let folder = tempfile::tempdir().unwrap();
    let values = publish(folder.path(), config);
    // From here on.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let encoder = SslEncoder::load(folder.path(), Device::Cpu).unwrap();
    let clip = CounterRng::new(2).normal(0, &[1, 5 * 16_000], Device::Cpu).unwrap() * 0.1;
    let hidden = encoder.last_hidden_state(&clip).unwrap();
    let after = peak();
    println!("{values} values, peak {before} bytes before loading, {after} after 5 s of sound");
    assert_eq!(hidden.size(), [1, 249, config.hidden_size]);
    assert!(hidden.isfinite().all().int64_value(&[]) != 0);
    let weights = 4 * values;
    assert!(
        after <= weights + weights * 3 / 10 + 500_000_000,
        "{after} bytes for {weights} bytes of weights"
    );
}

/// The same on a directory that is made in no time.
#[test]
fn a_small_directory_made_on_the_spot_loads_and_runs() {
    let mut config = SslConfig::hubert_base();
    (config.num_hidden_layers, config.intermediate_size, config.conv_dim) = (1, 64, vec![32; 7]);
    runs_within_memory(&config);
}

#[test]
#[ignore = "writes 380 MB, and holds 800 MB of memory"]
fn hubert_base_loads_and_runs() {
    runs_within_memory(&SslConfig::hubert_base());
}
