//! An encoder of the published size, made on the spot: it loads within the memory promised, and runs.
#![cfg(target_os = "linux")]
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use musicot_codec::{SslConfig, SslEncoder};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::{CounterRng, ParamStore, files};
use musicot_test_support::{Layout, within_memory, write_weights};

/// Names and shapes of the published layout: the halves of a weight norm in place of the weight.
fn layout(config: &SslConfig) -> Layout {
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

/// Writes a directory of random weights; returns the number of values.
fn publish(dir: &Path, config: &SslConfig) -> i64 {
    let mut settings = serde_json::to_value(config).unwrap();
    let fields = settings.as_object_mut().unwrap();
    let input =
        [("sampling_rate", fields.remove("sample_rate_hz")), ("do_normalize", fields.remove("normalize"))];
    files::write_json(dir.join("config.json"), &settings).unwrap();
    files::write_json(dir.join("preprocessor_config.json"), &BTreeMap::from(input)).unwrap();
    write_weights(&dir.join("model.safetensors"), Kind::Float, &layout(config), |name, shape| {
        let noise = CounterRng::new(1).stage(name).normal(0, shape, Device::Cpu).unwrap();
        if shape.len() == 1 { noise * 0.1 + 1.0 } else { noise * 0.05 }
    })
}

/// Loads and runs a directory on 5 s of sound.
fn runs_within_memory(config: &SslConfig) {
    within_memory(
        |dir| publish(dir, config),
        |dir| {
            let encoder = SslEncoder::load(dir, Device::Cpu).unwrap();
            let clip = CounterRng::new(2).normal(0, &[1, 5 * 16_000], Device::Cpu).unwrap() * 0.1;
            let hidden = encoder.last_hidden_state(&clip).unwrap();
            assert_eq!(hidden.size(), [1, 249, config.hidden_size]);
            assert!(hidden.isfinite().all().int64_value(&[]) != 0);
        },
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
