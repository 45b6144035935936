//! Laws of attention, its cache and its positions.
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use musicot_core::nn::{Attention, AttentionConfig, KvCache, Rope};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::tensor::{to_array, to_vec};
use musicot_core::{CounterRng, Error, ParamStore};
use proptest::prelude::*;

const GROUPED: AttentionConfig =
    AttentionConfig { dim: 12, context_dim: 12, heads: 4, kv_heads: 2, head_dim: 6, bias: true };

fn noise(position: u64, shape: &[i64]) -> Tensor {
    CounterRng::new(31).normal(position, shape, Device::Cpu).unwrap()
}

fn attention(config: AttentionConfig) -> (ParamStore, Attention) {
    let store = ParamStore::new(Device::Cpu, 3);
    let attention = Attention::new(&store.root(), config).unwrap();
    for (position, (_, tensor)) in store.named().into_iter().enumerate() {
        tensor.detach().copy_(&(noise(700 + position as u64, &tensor.size()) * 0.4));
    }
    (store, attention)
}

fn cache(batch: i64, capacity: i64) -> KvCache {
    KvCache::new(batch, 2, capacity, 6, Kind::Float, Device::Cpu).unwrap()
}

/// `[queries, keys]`: each sees itself and what came before.
fn causal(queries: i64, keys: i64) -> Tensor {
    Tensor::ones([queries, keys], (Kind::Bool, Device::Cpu)).tril(keys - queries)
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn cached_steps_equal_the_whole(cuts in prop::collection::vec(1_i64..4, 1..5), batch in 1_i64..3) {
        let (_, attention) = attention(GROUPED);
        let rope = Rope::new(6, 10_000.0, Device::Cpu).unwrap();
        let length = cuts.iter().sum::<i64>();
        let x = noise(1, &[batch, length, 12]);
        let table = rope.range(0, length).unwrap();
        let whole = attention.self_attend(&x, Some(&table), Some(&causal(length, length)), None).unwrap();

        let mut cache = cache(batch, length);
        for count in cuts {
            let start = cache.len();
            let table = rope.range(start, count).unwrap();
            let piece = x.narrow(1, start, count);
            let mask = causal(count, start + count);
            let out = attention.self_attend(&piece, Some(&table), Some(&mask), Some(&mut cache)).unwrap();
            // Kernels of other sizes add in another order.
            prop_assert!(largest_difference(&out, &whole.narrow(1, start, count)) < 1e-5);
        }
        prop_assert_eq!(cache.len(), cache.capacity());
    }

    #[test]
    fn rotated_products_depend_on_the_distance_alone(
        m in 0_i64..200, n in 0_i64..200, shift in 0_i64..500, dims in 1_i64..5,
    ) {
        let rope = Rope::new(2 * dims, 10_000.0, Device::Cpu).unwrap();
        let (q, k) = (noise(0, &[1, 1, 1, 2 * dims]), noise(1, &[1, 1, 1, 2 * dims]));
        let product = |m: i64, n: i64| {
            let q = rope.range(m, 1).unwrap().apply(&q).unwrap();
            let k = rope.range(n, 1).unwrap().apply(&k).unwrap();
            (q * k).sum(Kind::Float).double_value(&[])
        };
        // Angles up to 700 in f32 are off by 3e-5.
        prop_assert!((product(m, n) - product(m + shift, n + shift)).abs() < 2e-3);
    }
}

/// Softmax attention by the definition, in f64, for `x [seq, dim]`; weights by name.
fn by_definition(
    store: &ParamStore,
    c: &AttentionConfig,
    x: &Tensor,
    context: &Tensor,
    mask: impl Fn(usize, usize) -> bool,
) -> Vec<f64> {
    let named = |name: &str| {
        store.named().into_iter().find(|(n, _)| n == name).map(|(_, t)| to_array(&t).unwrap()).unwrap()
    };
    let project = |x: &[Vec<f64>], name: &str| -> Vec<Vec<f64>> {
        let (weight, bias) = (named(&format!("{name}.weight")), named(&format!("{name}.bias")));
        let row = |x: &Vec<f64>, o: usize| {
            x.iter().enumerate().map(|(i, v)| v * f64::from(weight[[o, i]])).sum::<f64>()
                + f64::from(bias[[o]])
        };
        x.iter().map(|x| (0..weight.shape()[0]).map(|o| row(x, o)).collect()).collect()
    };
    let rows = |t: &Tensor| -> Vec<Vec<f64>> {
        to_vec(t)
            .unwrap()
            .chunks(t.size()[1] as usize)
            .map(|r| r.iter().map(|v| f64::from(*v)).collect())
            .collect()
    };
    let (x, context) = (rows(x), rows(context));
    let (q, k, v) = (project(&x, "q_proj"), project(&context, "k_proj"), project(&context, "v_proj"));
    let (width, group) = (c.head_dim as usize, (c.heads / c.kv_heads) as usize);
    let mut joined = vec![vec![0.0; c.heads as usize * width]; x.len()];
    for head in 0..c.heads as usize {
        let kv = head / group;
        for (t, out) in joined.iter_mut().enumerate() {
            let score = |s: usize| {
                let dot: f64 = (0..width).map(|d| q[t][head * width + d] * k[s][kv * width + d]).sum();
                if mask(t, s) { (dot / (width as f64).sqrt()).exp() } else { 0.0 }
            };
            let scores: Vec<f64> = (0..context.len()).map(score).collect();
            let total: f64 = scores.iter().sum();
            for d in 0..width {
                out[head * width + d] =
                    (0..context.len()).map(|s| scores[s] / total * v[s][kv * width + d]).sum();
            }
        }
    }
    project(&joined, "o_proj").concat()
}

#[test]
fn attention_is_the_definition() {
    let (store, attention) = attention(GROUPED);
    let (x, context) = (noise(5, &[1, 7, 12]), noise(6, &[1, 5, 12]));
    let own = attention.self_attend(&x, None, Some(&causal(7, 7)), None).unwrap();
    let other = attention.cross_attend(&x, &context, None).unwrap();
    let (x, context) = (x.squeeze(), context.squeeze());
    let expected = [
        by_definition(&store, &GROUPED, &x, &x, |t, s| s <= t),
        by_definition(&store, &GROUPED, &x, &context, |_, _| true),
    ];
    for (actual, expected) in [own, other].iter().zip(expected) {
        for (a, e) in to_vec(actual).unwrap().iter().zip(expected) {
            // f32 sums of a few dozen values of magnitude one.
            assert!((f64::from(*a) - e).abs() < 2e-5, "{a} {e}");
        }
    }
}

#[test]
fn grouped_heads_equal_repeated_heads() {
    let (store, grouped) = attention(GROUPED);
    let full_config = AttentionConfig { kv_heads: 4, ..GROUPED };
    let (full_store, full) = attention(full_config);
    for (name, target) in full_store.named() {
        let source = store.named().into_iter().find(|(n, _)| *n == name).unwrap().1;
        let source = if name.starts_with("k_proj") || name.starts_with("v_proj") {
            // Each key/value head serves two neighbouring query heads.
            let mut split = source.size();
            split.splice(..1, [2, 6]);
            source.reshape(&split).repeat_interleave_self_int(2, 0, None).reshape(target.size())
        } else {
            source
        };
        target.detach().copy_(&source);
    }
    let x = noise(8, &[2, 5, 12]);
    let outputs = [&grouped, &full].map(|a| a.self_attend(&x, None, Some(&causal(5, 5)), None).unwrap());
    assert!(largest_difference(&outputs[0], &outputs[1]) < 1e-5);
}

#[test]
fn what_is_forgotten_was_never_there() {
    let (_, attention) = attention(GROUPED);
    let x = noise(9, &[1, 7, 12]);
    let fill = |cache: &mut KvCache, positions: &[i64]| {
        for position in positions {
            let _ = attention.self_attend(&x.narrow(1, *position, 1), None, None, Some(cache)).unwrap();
        }
    };
    for (start, count) in [(0, 2), (2, 3), (4, 2), (0, 6), (3, 0), (6, 0)] {
        let (mut long, mut short) = (cache(1, 8), cache(1, 8));
        fill(&mut long, &[0, 1, 2, 3, 4, 5]);
        long.forget(start, count).unwrap();
        let kept: Vec<i64> = (0..6).filter(|p| !(start..start + count).contains(p)).collect();
        fill(&mut short, &kept);
        assert_eq!(long.len(), kept.len() as i64);
        let last = x.narrow(1, 6, 1);
        let outputs =
            [&mut long, &mut short].map(|c| attention.self_attend(&last, None, None, Some(c)).unwrap());
        assert_eq!(to_vec(&outputs[0]).unwrap(), to_vec(&outputs[1]).unwrap(), "{start} {count}");
    }
    let mut cache = cache(1, 8);
    fill(&mut cache, &[0, 1]);
    cache.clear();
    assert!(cache.is_empty() && cache.capacity() == 8);
}

#[test]
fn caches_refuse_what_does_not_fit() {
    let (_, attention) = attention(GROUPED);
    let step = |cache: &mut KvCache, x: &Tensor| attention.self_attend(x, None, None, Some(cache));
    let mut cache = cache(1, 3);
    let _ = step(&mut cache, &noise(0, &[1, 2, 12])).unwrap();
    assert!(matches!(step(&mut cache, &noise(0, &[1, 2, 12])), Err(Error::Input { .. })));
    assert!(matches!(step(&mut cache, &noise(0, &[2, 1, 12])), Err(Error::Shape { .. })));
    assert_eq!(cache.len(), 2);
    for (start, count) in
        [(-1, 1), (0, 3), (3, 0), (1, -1), (i64::MAX, 1), (1, i64::MAX), (i64::MIN, i64::MIN)]
    {
        assert!(matches!(cache.forget(start, count), Err(Error::Input { .. })), "{start} {count}");
    }
    assert_eq!(cache.len(), 2);
    assert!(KvCache::new(1, 2, -1, 6, Kind::Float, Device::Cpu).is_err());
    let mut other = KvCache::new(1, 4, 3, 6, Kind::Float, Device::Cpu).unwrap();
    assert!(matches!(step(&mut other, &noise(0, &[1, 1, 12])), Err(Error::Shape { .. })));
}

#[test]
fn impossible_attention_is_refused() {
    let store = ParamStore::new(Device::Cpu, 0);
    let cases = [
        ("kv_heads", AttentionConfig { kv_heads: 3, ..GROUPED }),
        ("kv_heads", AttentionConfig { kv_heads: 0, ..GROUPED }),
        ("heads", AttentionConfig { heads: -4, ..GROUPED }),
        ("head_dim", AttentionConfig { head_dim: 0, ..GROUPED }),
        ("head_dim", AttentionConfig { head_dim: i64::MAX, ..GROUPED }),
        ("dim", AttentionConfig { dim: 0, ..GROUPED }),
        ("context_dim", AttentionConfig { context_dim: 0, ..GROUPED }),
    ];
    for (field, config) in cases {
        let error = Attention::new(&store.root(), config).unwrap_err().to_string();
        assert!(error.contains(&format!("`{field}`")), "{error}");
    }
    let (_, attention) = attention(GROUPED);
    assert!(attention.self_attend(&noise(0, &[5, 12]), None, None, None).is_err());
    assert!(attention.self_attend(&noise(0, &[1, 5, 11]), None, None, None).is_err());
    let rope = Rope::new(6, 10_000.0, Device::Cpu).unwrap().range(0, 1).unwrap();
    assert!(matches!(
        attention.self_attend(&noise(0, &[1, 5, 12]), Some(&rope), None, None),
        Err(Error::Shape { .. })
    ));
}

#[test]
fn rotation_keeps_length_and_leaves_the_rest_alone() {
    let rope = Rope::new(4, 100.0, Device::Cpu).unwrap();
    let x = noise(2, &[2, 3, 5, 7]);
    let turned = rope.range(10, 5).unwrap().apply(&x).unwrap();
    let norm = |t: &Tensor| t.narrow(-1, 0, 4).norm_scalaropt_dim(2, [-1].as_slice(), false);
    assert!(largest_difference(&norm(&turned), &norm(&x)) < 1e-5);
    assert_eq!(to_vec(&turned.narrow(-1, 4, 3)).unwrap(), to_vec(&x.narrow(-1, 4, 3)).unwrap());
    let unmoved = rope.range(0, 5).unwrap().apply(&x.narrow(2, 0, 5)).unwrap();
    assert_eq!(to_vec(&unmoved.narrow(2, 0, 1)).unwrap(), to_vec(&x.narrow(2, 0, 1)).unwrap());
    // Position 1 turns (1, 0) in the plane of dims 0 and 2 by one radian.
    let unit = Tensor::from_slice(&[1_f32, 0.0, 0.0, 0.0]).reshape([1, 1, 1, 4]);
    let turned = to_vec(&rope.range(1, 1).unwrap().apply(&unit).unwrap()).unwrap();
    assert!((turned[0] - 1_f32.cos()).abs() < 1e-6 && (turned[2] - 1_f32.sin()).abs() < 1e-6, "{turned:?}");
}

#[test]
fn rows_may_stand_at_positions_of_their_own() {
    let rope = Rope::from_frequencies(&[1.0, 0.25], Device::Cpu).unwrap();
    let x = noise(3, &[2, 3, 4, 5]);
    let positions = Tensor::from_slice(&[0_i64, 0, 0, 1, 5, 6, 7, 8]).reshape([2, 4]);
    let turned = rope.table(&positions).unwrap().apply(&x).unwrap();
    for row in 0..2 {
        let alone = rope.table(&positions.get(row)).unwrap().apply(&x.narrow(0, row, 1)).unwrap();
        assert_eq!(turned.narrow(0, row, 1), alone);
    }
    assert_eq!(rope.range(5, 4).unwrap().apply(&x.get(1)).unwrap(), turned.get(1));
    let table = rope.table(&positions).unwrap();
    for shape in [vec![3, 3, 4, 5], vec![2, 3, 5, 5], vec![2, 3, 4, 3], vec![2, 4, 5], vec![4, 5], vec![]] {
        let error = table.apply(&noise(0, &shape)).unwrap_err().to_string();
        assert!(error.contains("[2, heads, 4 positions, at least 4]"), "{error}");
    }
    assert!(rope.table(&positions.unsqueeze(0)).is_err() && rope.table(&positions.get(0).get(0)).is_err());
    for frequencies in [vec![], vec![1.0, f32::NAN], vec![f32::INFINITY]] {
        assert!(Rope::from_frequencies(&frequencies, Device::Cpu).is_err(), "{frequencies:?}");
    }
}

#[test]
fn impossible_rotations_are_refused() {
    for (dims, theta) in [(0, 1e4), (3, 1e4), (-2, 1e4), (4, 0.0), (4, f64::NAN), (4, f64::INFINITY)] {
        assert!(matches!(Rope::new(dims, theta, Device::Cpu), Err(Error::Config { .. })), "{dims} {theta}");
    }
    let rope = Rope::new(4, 1e4, Device::Cpu).unwrap();
    for count in [-1, i64::MAX, 1 << 55] {
        assert!(rope.range(0, count).is_err(), "{count}");
    }
    assert!(rope.range(i64::MAX, 3).is_ok() && rope.range(i64::MIN, 0).is_ok());
    let table = rope.range(0, 3).unwrap();
    for shape in [vec![1, 1, 2, 4], vec![1, 1, 3, 2], vec![4], vec![]] {
        assert!(matches!(table.apply(&noise(0, &shape)), Err(Error::Shape { .. })), "{shape:?}");
    }
}

/// Normalised heads do not see the scale of the queries' and keys' matrices, which plain ones do.
#[test]
fn normalised_heads_forget_the_scale_of_their_projections() {
    let x = noise(1, &[2, 5, 12]);
    let outputs = |normalised: bool| {
        let store = ParamStore::new(Device::Cpu, 3);
        let attention = match normalised {
            true => Attention::with_head_norms(&store.root(), GROUPED, 1e-12),
            false => Attention::new(&store.root(), GROUPED),
        }
        .unwrap();
        let attend = || attention.cross_attend(&x, &x, None).unwrap();
        let before = attend();
        for (name, tensor) in store.named() {
            if name.starts_with("q_proj") || name.starts_with("k_proj") {
                tensor.detach().copy_(&(&tensor * 5.0));
            }
        }
        largest_difference(&before, &attend())
    };
    // A few roundings of f32 at magnitudes below 1.
    assert!(outputs(true) < 1e-6 && outputs(false) > 1e-3);
    let store = ParamStore::new(Device::Cpu, 3);
    Attention::with_head_norms(&store.root(), GROUPED, 1e-6).unwrap();
    let shape = |name: &str| store.named().into_iter().find(|(other, _)| other == name).unwrap().1.size();
    assert_eq!((shape("q_norm.weight"), shape("k_norm.bias")), (vec![6], vec![6]));
}
