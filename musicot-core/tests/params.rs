//! Parameters start from values that depend on seed and name alone.
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::tensor::to_vec;
use musicot_core::{Checkpoint, CounterRng, Error, Init, LoadOptions, ParamStore, Storage};
use proptest::prelude::*;

fn values(store: &ParamStore) -> BTreeMap<String, Vec<f32>> {
    store.named().into_iter().map(|(name, tensor)| (name, to_vec(&tensor).unwrap())).collect()
}

proptest! {
    #[test]
    fn initial_values_do_not_depend_on_order_or_neighbours(
        order in Just((0..8_i64).collect::<Vec<_>>()).prop_shuffle(), kept in 1_usize..8, seed in any::<u64>(),
    ) {
        let build = |order: &[i64]| {
            let store = ParamStore::new(Device::Cpu, seed);
            for i in order {
                let init = if i % 2 == 0 { Init::Normal(0.3) } else { Init::Uniform(0.1) };
                let _ = store.root().sub("layer").sub(i).param("weight", &[i + 1, 3], init).unwrap();
            }
            values(&store)
        };
        let all = build(&[0, 1, 2, 3, 4, 5, 6, 7]);
        prop_assert_eq!(&build(&order), &all);
        for (name, values) in build(&order[..kept]) {
            prop_assert_eq!(&values, &all[&name]);
        }
    }

    #[test]
    fn draws_depend_on_their_place_alone(positions in prop::collection::vec(0_u64..50, 1..20), seed in any::<u64>()) {
        let rng = CounterRng::new(seed).stage("s").item(3);
        for position in positions {
            let tensor = to_vec(&rng.normal(position, &[7], Device::Cpu).unwrap()).unwrap();
            let mut draws = rng.at(position);
            prop_assert!(tensor.iter().all(|v| *v == draws.normal()));
            // A longer draw begins with the shorter one.
            let longer = to_vec(&rng.normal(position, &[3, 5], Device::Cpu).unwrap()).unwrap();
            prop_assert_eq!(&longer[..7], &tensor[..]);
        }
    }
}

#[test]
fn seeds_stages_and_items_give_other_draws() {
    let first = |rng: CounterRng| rng.at(0).bits();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        for stage in ["plan", "tokens"] {
            for item in 0..20 {
                seen.insert(first(CounterRng::new(seed).stage(stage).item(item)));
                seen.insert(first(CounterRng::new(seed).item(item).stage(stage)));
            }
        }
    }
    // 1600 draws of 32 bits: a single coincidence has a chance of 3e-4, and the test is deterministic.
    assert_eq!(seen.len(), 1600);
}

#[test]
fn starts_have_their_distribution() {
    let store = ParamStore::new(Device::Cpu, 0);
    let root = store.root();
    let normal = to_vec(&root.param("normal", &[100, 100], Init::Normal(0.5)).unwrap()).unwrap();
    let uniform = to_vec(&root.param("uniform", &[100, 100], Init::fan_in(4)).unwrap()).unwrap();
    let constant = to_vec(&root.param("constant", &[3], Init::Const(-2.0)).unwrap()).unwrap();
    let variance = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / v.len() as f64;
    // Five standard errors of the variance of 10 000 draws.
    assert!((variance(&normal) / 0.25 - 1.0).abs() < 5.0 * (2.0 / 1e4_f64).sqrt());
    assert!(uniform.iter().all(|v| v.abs() <= 0.5));
    assert!((variance(&uniform) * 12.0 - 1.0).abs() < 5.0 * (0.8 / 1e4_f64).sqrt());
    assert_eq!(constant, [-2.0; 3]);
}

#[test]
fn impossible_parameters_are_refused() {
    let (device, kind) = (Device::Cpu, Kind::Float);
    for store in [
        ParamStore::new(device, 0),
        ParamStore::for_loading(device, kind),
        ParamStore::for_loading_in_parts(device, kind),
    ] {
        let root = store.root();
        for shape in [vec![-1], vec![2, -3], vec![i64::MAX, 2], vec![1 << 31, 1 << 31, 1 << 31]] {
            let error = root.sub("a").param("w", &shape, Init::Normal(1.0)).unwrap_err();
            assert!(matches!(&error, Error::Input { what, .. } if what == "a.w"), "{shape:?}: {error}");
        }
        let _ = root.param("w", &[1], Init::Const(0.0)).unwrap();
        assert!(root.param("w", &[1], Init::Const(0.0)).is_err());
        assert_eq!(store.count(), 1);
    }
}

#[test]
fn frozen_parameters_and_buffers_are_not_trained() {
    let store = ParamStore::new(Device::Cpu, 0);
    let root = store.root();
    let free = root.param("free", &[2], Init::Const(1.0)).unwrap();
    let frozen = root.sub("tower").param("w", &[2], Init::Const(1.0)).unwrap();
    // A buffer is cut from the graph that made it.
    let _ = root.buffer("mean", &free * 2.0).unwrap();
    store.freeze("tower.");
    let names: Vec<String> = store.trainable().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["free"]);
    assert!(!frozen.requires_grad() && free.requires_grad());
    assert_eq!(store.named().len(), 3);
    store.freeze("");
    assert!(store.trainable().is_empty());
}

#[test]
fn handles_share_memory_with_the_store() {
    let store = ParamStore::new(Device::Cpu, 0);
    let handle = store.root().param("w", &[2], Init::Const(0.0)).unwrap();
    let (_, tensor) = store.named().remove(0);
    tensor.detach().copy_(&Tensor::from_slice(&[1_f32, 2.0]));
    assert_eq!(to_vec(&handle).unwrap(), [1.0, 2.0]);
}

/// Part after part, each given back before the next: the handles see what is there and zeros otherwise.
#[test]
fn a_model_is_filled_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let stored = ParamStore::new(Device::Cpu, 3);
    let shapes: [(&str, &[i64]); 4] = [("a.v", &[3]), ("a.w", &[2, 3]), ("b.one", &[1, 1]), ("b.w", &[4, 1])];
    let make = |store: &ParamStore| -> Vec<Tensor> {
        shapes
            .iter()
            .map(|(name, shape)| store.root().param(name, shape, Init::Normal(1.0)).unwrap())
            .collect()
    };
    let expected = make(&stored);
    stored.save(&file, Storage::Native).unwrap();
    let checkpoint = Checkpoint::open(&file).unwrap();
    let store = ParamStore::for_loading_in_parts(Device::Cpu, Kind::Float);
    let handles = make(&store);
    let is_zero = |handle: &Tensor| handle.abs().sum(Kind::Float).double_value(&[]) == 0.0;
    let is_there = |place: usize| handles[place].equal(&expected[place]);
    assert!(handles.iter().all(|handle| is_zero(handle) && !handle.requires_grad()));
    let loading = store.loading(&checkpoint, &LoadOptions::default()).unwrap();
    loading.fill(|name| name.starts_with("a.")).unwrap();
    assert!(is_there(0) && is_there(1) && is_zero(&handles[2]) && is_zero(&handles[3]));
    store.give_back("a.").unwrap();
    assert!(handles[..3].iter().all(is_zero));
    assert_eq!(handles[1].size(), [2, 3]);
    loading.fill(|name| name.starts_with("b.")).unwrap();
    assert!(is_zero(&handles[1]) && is_there(2) && is_there(3));
    assert_eq!(store.named().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b.one", "b.w"]);
    // What was given back is no longer the store's: the checkpoint has more than it.
    assert!(matches!(store.loading(&checkpoint, &LoadOptions::default()), Err(Error::Checkpoint { .. })));
}

/// The next part takes the memory of the one before it, which is forgotten.
#[test]
fn a_part_takes_the_place_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let make = |store: &ParamStore| -> Vec<Tensor> {
        let param = |name: &str, shape: &[i64]| store.root().param(name, shape, Init::Normal(1.0)).unwrap();
        vec![param("a.w", &[2, 3]), param("b.w", &[2, 3]), param("c.v", &[2, 3]), param("d.w", &[3, 2])]
    };
    let stored = ParamStore::new(Device::Cpu, 3);
    let expected = make(&stored);
    stored.save(&file, Storage::Native).unwrap();
    let checkpoint = Checkpoint::open(&file).unwrap();
    let store = ParamStore::for_loading_in_parts(Device::Cpu, Kind::Float);
    let handles = make(&store);
    let loading = store.loading(&checkpoint, &LoadOptions::default()).unwrap();
    loading.fill(|name| name.starts_with("a.")).unwrap();
    let memory = handles[0].data_ptr();
    for (to, said) in [("c.", "c.w"), ("d.", "d.w")] {
        let error = store.pass_on("a.", to).unwrap_err();
        assert!(matches!(&error, Error::Input { .. }) && error.to_string().contains(said), "{error}");
        assert!(handles[0].equal(&expected[0]), "nothing was changed");
    }
    store.pass_on("a.", "b.").unwrap();
    assert_eq!(handles[1].data_ptr(), memory);
    assert_eq!(handles[0].abs().sum(Kind::Float).double_value(&[]), 0.0);
    loading.fill(|name| name.starts_with("b.")).unwrap();
    assert!(handles[1].equal(&expected[1]));
    assert_eq!(store.named().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b.w", "c.v", "d.w"]);
}

#[test]
fn stores_can_be_sent() {
    fn is_send<T: Send>() {}
    is_send::<ParamStore>();
    is_send::<Checkpoint>();
    is_send::<musicot_core::nn::KvCache>();
    is_send::<musicot_core::dsp::Stft>();
}

#[test]
fn tensors_are_copied_by_name() {
    let stores = [1, 2].map(|seed| ParamStore::new(Device::Cpu, seed));
    let of = |store: &ParamStore, name: &str, size: i64| {
        store.root().param(name, &[size], Init::Normal(1.0)).unwrap()
    };
    let (from, into) = (&stores[0], &stores[1]);
    let (a, b, kept) = (of(from, "a", 3), of(from, "b", 4), of(into, "kept", 2));
    let (into_a, kept_before) = (of(into, "a", 3), to_vec(&kept).unwrap());
    let into_b = of(into, "b", 5);
    let before = to_vec(&into_a).unwrap();
    // A tensor of another shape is named, and nothing is copied.
    let error = into.copy_from(from, |_| true).unwrap_err().to_string();
    assert!(error.contains('b') && error.contains("[5]") && error.contains("[4]"), "{error}");
    assert_eq!(to_vec(&into_a).unwrap(), before);
    into.copy_from(from, |name| name != "b").unwrap();
    assert_eq!(to_vec(&into_a).unwrap(), to_vec(&a).unwrap());
    assert_ne!(to_vec(&into_b).unwrap()[..4], to_vec(&b).unwrap());
    assert_eq!(to_vec(&kept).unwrap(), kept_before);
    assert!(into_a.requires_grad());
    // One that is not there is named.
    let error = from.copy_from(into, |name| name == "kept").unwrap_err().to_string();
    assert!(error.contains("kept"), "{error}");
}

#[test]
fn tables_are_told_from_other_parameters() {
    let store = ParamStore::new(Device::Cpu, 1);
    let _ = store.root().param("matrix", &[3, 2], Init::Normal(1.0)).unwrap();
    let _ = store.root().table("table", &[3, 2], Init::Normal(1.0)).unwrap();
    let names: Vec<String> = store.trainable().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["matrix", "table"]);
    assert_eq!(["matrix", "table", "none"].map(|name| store.is_table(name)), [false, true, false]);
}
