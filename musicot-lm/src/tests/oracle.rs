//! The decoder against a slow one in f64 that knows distances only: no rotation of keys, no cache, no mask, no grouped heads.

use std::collections::BTreeMap;

use musicot_core::tch::{Device, Kind, Tensor, set_num_threads};
use musicot_core::{CounterRng, ParamStore};

use crate::causal::{CausalLm, SessionShape};
use crate::{Llama, LlamaConfig, mask};

struct Oracle {
    weights: BTreeMap<String, Tensor>,
    config: LlamaConfig,
}

impl Oracle {
    fn weight(&self, name: &str) -> &Tensor {
        &self.weights[name]
    }

    fn norm(&self, x: &Tensor, name: &str) -> Tensor {
        let scale =
            (x.square().mean_dim([-1_i64].as_slice(), true, Kind::Double) + self.config.rms_norm_eps).rsqrt();
        x * scale * self.weight(name)
    }

    /// `x [seq, dim]` to final hidden states; `distance(query, key)` is `None` where the key is hidden.
    fn run(&self, x: &Tensor, distance: &dyn Fn(i64, i64) -> Option<i64>) -> Tensor {
        let mut x = x.shallow_clone();
        for layer in 0..self.config.num_hidden_layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
            let normed = self.norm(&x, &name("input_layernorm"));
            x = &x + self.attend(&normed, &name, distance);
            let normed = self.norm(&x, &name("post_attention_layernorm"));
            let gate = normed.matmul(&self.weight(&name("mlp.gate_proj")).tr());
            let up = normed.matmul(&self.weight(&name("mlp.up_proj")).tr());
            let gated = &gate * gate.sigmoid() * up;
            x = &x + gated.matmul(&self.weight(&name("mlp.down_proj")).tr());
        }
        self.norm(&x, "model.norm.weight")
    }

    fn attend(
        &self,
        x: &Tensor,
        name: &dyn Fn(&str) -> String,
        distance: &dyn Fn(i64, i64) -> Option<i64>,
    ) -> Tensor {
        let (seq, size) = (x.size()[0], self.config.head_size());
        let (heads, groups) = (self.config.num_attention_heads, self.config.num_key_value_heads);
        let projected = |part: &str, count: i64| {
            x.matmul(&self.weight(&name(&format!("self_attn.{part}_proj"))).tr()).reshape([seq, count, size])
        };
        let (q, k, v) = (projected("q", heads), projected("k", groups), projected("v", groups));
        let rows: Vec<Tensor> = (0..seq)
            .flat_map(|i| (0..heads).map(move |head| (i, head)))
            .map(|(i, head)| {
                let group = head / (heads / groups);
                let keys: Vec<(i64, i64)> = (0..seq).filter_map(|j| Some((j, distance(i, j)?))).collect();
                let scores: Vec<Tensor> = keys
                    .iter()
                    .map(|(j, d)| self.rotate(&q.get(i).get(head), *d).dot(&k.get(*j).get(group)))
                    .collect();
                let weights = (Tensor::stack(&scores, 0) / (size as f64).sqrt()).softmax(0, Kind::Double);
                let values: Vec<Tensor> = keys.iter().map(|(j, _)| v.get(*j).get(group)).collect();
                weights.unsqueeze(0).matmul(&Tensor::stack(&values, 0)).squeeze_dim(0)
            })
            .collect();
        let joined = Tensor::cat(&rows, 0).reshape([seq, heads * size]);
        joined.matmul(&self.weight(&name("self_attn.o_proj")).tr())
    }

    /// Turns pairs `(i, i + size / 2)` by `distance * theta^(-2i / size)`.
    fn rotate(&self, x: &Tensor, distance: i64) -> Tensor {
        let half = self.config.head_size() / 2;
        let angles: Vec<f64> = (0..half)
            .map(|i| distance as f64 * self.config.rope_theta.powf(-(i as f64) / half as f64))
            .collect();
        let angles = Tensor::from_slice(&angles);
        let (low, high) = (x.narrow(0, 0, half), x.narrow(0, half, half));
        let turned_low = &low * angles.cos() - &high * angles.sin();
        let turned_high = &high * angles.cos() + &low * angles.sin();
        Tensor::cat(&[turned_low, turned_high], 0)
    }
}

fn pair(tied: bool) -> (Llama, Oracle, ParamStore) {
    set_num_threads(1);
    let config = LlamaConfig {
        vocab_size: 10,
        hidden_size: 12,
        intermediate_size: 20,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: Some(6),
        rope_theta: 500.0,
        tie_word_embeddings: tied,
        ..Default::default()
    };
    let store = ParamStore::new(Device::Cpu, 5);
    let llama = Llama::new(&store.root(), &config).unwrap();
    // Larger weights than initial ones, and norms that are not all 1: each part has to matter.
    tch_no_grad(|| {
        for (name, mut tensor) in store.named() {
            let noise = CounterRng::new(6).stage(&name).normal(0, &tensor.size(), Device::Cpu).unwrap();
            tensor.copy_(&(if tensor.dim() == 1 { noise * 0.2 + 1.0 } else { noise * 0.4 }));
        }
    });
    let weights =
        store.named().into_iter().map(|(name, t)| (name, t.detach().to_kind(Kind::Double))).collect();
    (llama, Oracle { weights, config }, store)
}

fn tch_no_grad(run: impl FnOnce()) {
    musicot_core::tch::no_grad(run);
}

fn random(seq: i64) -> Tensor {
    CounterRng::new(8).stage("x").normal(0, &[1, seq, 12], Device::Cpu).unwrap()
}

/// Two layers in f32 on values of order 1.
fn assert_close(actual: &Tensor, expected: &Tensor, what: &str) {
    let difference = (actual.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
    assert!(difference < 2e-5, "{what}: differs by {difference}");
}

#[test]
fn whole_sequences_agree() {
    let (llama, oracle, _store) = pair(false);
    let x = random(9);
    let slow = oracle.run(&x.squeeze_dim(0).to_kind(Kind::Double), &|i, j| (j <= i).then_some(i - j));
    let fast = llama.forward(&x, None).unwrap().squeeze_dim(0);
    assert_close(&fast, &slow, "causal");
    let logits = llama.logits(&fast, 2..7).unwrap();
    let head = oracle.weight("lm_head.weight").narrow(0, 2, 5);
    assert_close(&logits, &slow.matmul(&head.tr()), "logits of some rows");
}

#[test]
fn tied_embeddings_are_the_output_matrix() {
    let (llama, oracle, store) = pair(true);
    assert!(store.named().iter().all(|(name, _)| name != "lm_head.weight"));
    let hidden = random(1).get(0);
    let expected = hidden.to_kind(Kind::Double).matmul(&oracle.weight("model.embed_tokens.weight").tr());
    assert_close(&llama.logits(&hidden, 0..10).unwrap(), &expected, "tied logits");
}

#[test]
fn windowed_sequences_agree() {
    let (llama, oracle, _store) = pair(false);
    let (prefix, window) = (4, 3);
    let x = random(13);
    let slow = oracle.run(&x.squeeze_dim(0).to_kind(Kind::Double), &|i, j| {
        (j <= i && (j < prefix || i - j < window)).then_some(i - j)
    });
    let mask = mask::windowed(&[4, 9], 13, 3, Device::Cpu).unwrap().unsqueeze(1);
    let both = llama.forward(&Tensor::cat(&[&x, &x], 0), Some(&mask)).unwrap();
    assert_close(&both.get(0), &slow, "windowed");
}

/// The law of decoding: what the cache gives is the full masked forward, however long the song; beyond the reach, the prefix is
/// seen at the distance that it was moved to.
#[test]
fn rolled_positions_agree_beyond_window_and_reach() {
    let (llama, oracle, _store) = pair(false);
    let (prefix, tail, window, reach) = (5_i64, 60_i64, 7_i64, 30_i64);
    let x = random(prefix + tail);
    let moved = |i: i64| {
        let distance = i - (prefix - 1);
        if distance <= reach { 0 } else { (distance - reach + 24) / 25 * 25 }
    };
    let slow = oracle.run(&x.squeeze_dim(0).to_kind(Kind::Double), &|i, j| match j {
        _ if j > i => None,
        _ if j < prefix => Some(i - j - if i < prefix { 0 } else { moved(i) }),
        _ => (i - j < window).then_some(i - j),
    });
    let shape = SessionShape {
        padding: vec![0],
        prefix_positions: prefix,
        window_positions: window,
        reach_positions: reach,
    };
    let mut session = llama.session(&shape).unwrap();
    let _ = session.extend(&x.narrow(1, 0, 3)).unwrap();
    let last = session.extend(&x.narrow(1, 3, 2)).unwrap();
    assert_close(&last.get(0), &slow.get(prefix - 1), "end of the prefix");
    for i in prefix..prefix + tail {
        let hidden = session.roll(&x.narrow(1, i, 1)).unwrap();
        assert_close(&hidden.get(0), &slow.get(i), &format!("position {i}"));
    }
}

#[test]
fn padding_in_front_changes_nothing() {
    let (llama, _oracle, _store) = pair(false);
    let (x, pad) = (random(14), random(3) * 100.0);
    let shape = |padding: Vec<i64>, prefix_positions| SessionShape {
        padding,
        prefix_positions,
        window_positions: 4,
        reach_positions: 100,
    };
    let mut alone = llama.session(&shape(vec![0], 6)).unwrap();
    let mut padded = llama.session(&shape(vec![3, 0], 9)).unwrap();
    let other = random(9);
    let row = Tensor::cat(&[&pad, &x.narrow(1, 0, 6)], 1);
    let both = Tensor::cat(&[&row, &other], 0);
    let mut expected = alone.extend(&x.narrow(1, 0, 6)).unwrap();
    let mut actual = padded.extend(&both).unwrap();
    for i in 6..14 {
        assert_close(&actual.get(0), &expected.get(0).to_kind(Kind::Double), &format!("position {i}"));
        let next = x.narrow(1, i, 1);
        expected = alone.roll(&next).unwrap();
        actual = padded.roll(&Tensor::cat(&[&next, &next], 0)).unwrap();
    }
}

#[test]
fn sessions_refuse_what_does_not_fit() {
    let (llama, _oracle, _store) = pair(false);
    let shape =
        SessionShape { padding: vec![0], prefix_positions: 3, window_positions: 2, reach_positions: 9 };
    let mut session = llama.session(&shape).unwrap();
    assert!(session.roll(&random(1)).is_err(), "no prefix yet");
    assert!(session.extend(&random(4)).is_err(), "too long");
    assert!(session.extend(&Tensor::zeros([1, 1, 5], (Kind::Float, Device::Cpu))).is_err(), "too narrow");
    let _ = session.extend(&random(3)).unwrap();
    let _ = session.roll(&random(1)).unwrap();
    assert!(session.extend(&random(1)).is_err(), "rolls already");
    for wrong in [
        SessionShape { padding: vec![], ..shape.clone() },
        SessionShape { padding: vec![3], ..shape.clone() },
        SessionShape { prefix_positions: 0, ..shape.clone() },
        SessionShape { window_positions: -1, ..shape.clone() },
    ] {
        assert!(llama.session(&wrong).is_err(), "{wrong:?}");
    }
    assert!(llama.logits(&random(1), 3..11).is_err());
    assert!(llama.logits(&random(1), 3..3).is_err());
}

#[test]
fn names_are_those_of_published_files() {
    let (_, _, store) = pair(false);
    let names: Vec<String> = store.named().into_iter().map(|(name, _)| name).collect();
    let layer = [
        "input_layernorm",
        "mlp.down_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "post_attention_layernorm",
        "self_attn.k_proj",
        "self_attn.o_proj",
        "self_attn.q_proj",
        "self_attn.v_proj",
    ];
    let mut expected = vec!["lm_head.weight".to_owned(), "model.embed_tokens.weight".to_owned()];
    expected
        .extend((0..2).flat_map(|i| layer.iter().map(move |part| format!("model.layers.{i}.{part}.weight"))));
    expected.push("model.norm.weight".to_owned());
    assert_eq!(names, expected);
}
