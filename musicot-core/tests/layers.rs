//! Layers against their formulas.
// A test says what it expects by unwrapping, in its helpers too.
#![allow(clippy::unwrap_used)]

use musicot_core::nn::{Conv1d, Conv1dConfig, Embedding, LayerNorm, Linear, RmsNorm, SwiGlu};
use musicot_core::tch::{Device, Kind, Tensor};
use musicot_core::tensor::{to_array, to_vec};
use musicot_core::{CounterRng, Error, Init, ParamStore};
use proptest::prelude::*;

fn noise(position: u64, shape: &[i64]) -> Tensor {
    CounterRng::new(21).normal(position, shape, Device::Cpu).unwrap()
}

fn named(store: &ParamStore, name: &str) -> Tensor {
    store.named().into_iter().find(|(n, _)| n == name).unwrap().1
}

/// Replaces every parameter by noise, so that ones and zeros hide nothing.
fn shuffle(store: &ParamStore) {
    for (position, (_, tensor)) in store.named().into_iter().enumerate() {
        tensor.detach().copy_(&noise(900 + position as u64, &tensor.size()));
    }
}

fn expect_close(actual: &Tensor, expected: &[f64], tolerance: f64) {
    let actual = to_vec(actual).unwrap();
    assert_eq!(actual.len(), expected.len());
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((f64::from(*a) - e).abs() <= tolerance * (1.0 + e.abs()), "{i}: {a} {e}");
    }
}

/// A convolution by the definition, `weight [outputs, inputs / groups, kernel]`.
fn convolve(x: &Tensor, weight: &Tensor, bias: &[f32], c: &Conv1dConfig) -> Vec<f64> {
    let (x, weight) = (to_array(x).unwrap(), to_array(weight).unwrap());
    let (batch, frames) = (x.shape()[0], x.shape()[2] as i64);
    let frames_out = (frames + 2 * c.padding - c.dilation * (c.kernel - 1) - 1) / c.stride + 1;
    let (inputs, outputs) = (c.inputs / c.groups, c.outputs / c.groups);
    let mut values = Vec::new();
    for b in 0..batch {
        for o in 0..c.outputs {
            for t in 0..frames_out {
                let mut sum = f64::from(bias[o as usize]);
                for i in 0..inputs {
                    for k in 0..c.kernel {
                        let at = t * c.stride + k * c.dilation - c.padding;
                        if (0..frames).contains(&at) {
                            let input = o / outputs * inputs + i;
                            sum += f64::from(x[[b, input as usize, at as usize]])
                                * f64::from(weight[[o as usize, i as usize, k as usize]]);
                        }
                    }
                }
                values.push(sum);
            }
        }
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn convolution_is_the_definition(
        groups in 1_i64..4, inputs in 1_i64..3, outputs in 1_i64..3, kernel in 1_i64..6, stride in 1_i64..4,
        padding in 0_i64..4, dilation in 1_i64..3,
    ) {
        let config = Conv1dConfig {
            inputs: inputs * groups,
            outputs: outputs * groups,
            kernel,
            stride,
            padding,
            dilation,
            groups,
            bias: true,
        };
        let store = ParamStore::new(Device::Cpu, 5);
        let layer = Conv1d::new(&store.root(), config).unwrap();
        shuffle(&store);
        let weight = named(&store, "weight");
        let x = noise(1, &[2, config.inputs, 17]);
        let expected = convolve(&x, &weight, &to_vec(&named(&store, "bias")).unwrap(), &config);
        // f32 sums of at most 15 products.
        expect_close(&layer.forward(&x).unwrap(), &expected, 1e-5);
    }
}

#[test]
fn impossible_convolutions_are_refused() {
    let good = Conv1dConfig { groups: 2, ..Conv1dConfig::same(4, 6, 3) };
    let cases = [
        ("kernel", Conv1dConfig { kernel: 0, ..good }),
        ("stride", Conv1dConfig { stride: 0, ..good }),
        ("dilation", Conv1dConfig { dilation: -1, ..good }),
        ("padding", Conv1dConfig { padding: -1, ..good }),
        ("groups", Conv1dConfig { groups: 0, ..good }),
        ("groups", Conv1dConfig { groups: 4, ..good }),
        ("groups", Conv1dConfig { groups: 3, ..good }),
        ("inputs", Conv1dConfig { inputs: 0, ..good }),
        ("outputs", Conv1dConfig { outputs: -2, ..good }),
        ("weight", Conv1dConfig { kernel: i64::MAX, ..good }),
    ];
    let store = ParamStore::new(Device::Cpu, 0);
    for (field, config) in cases {
        let error = Conv1d::new(&store.root().sub(field), config).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
    let layer = Conv1d::new(&store.root(), good).unwrap();
    assert!(matches!(layer.forward(&noise(0, &[1, 5, 9])), Err(Error::Torch(_))));
    let unpadded = Conv1d::new(&store.root().sub("unpadded"), Conv1dConfig { padding: 0, ..good }).unwrap();
    assert!(unpadded.forward(&noise(0, &[1, 4, 2])).is_err());
    assert_eq!(unpadded.forward(&noise(0, &[1, 4, 3])).unwrap().size(), [1, 6, 1]);
}

#[test]
fn same_and_depthwise_keep_the_frames() {
    let store = ParamStore::new(Device::Cpu, 0);
    for (i, config) in [Conv1dConfig::same(3, 5, 7), Conv1dConfig::depthwise(3, 7)].into_iter().enumerate() {
        let layer = Conv1d::new(&store.root().sub(i), config).unwrap();
        assert_eq!(layer.forward(&noise(0, &[1, 3, 11])).unwrap().size(), [1, config.outputs, 11]);
    }
}

#[test]
fn norms_are_their_formulas() {
    let store = ParamStore::new(Device::Cpu, 1);
    let layer = LayerNorm::new(&store.root().sub("layer"), 6, 1e-3).unwrap();
    let rms = RmsNorm::new(&store.root().sub("rms"), 6, 1e-3).unwrap();
    shuffle(&store);
    let x = noise(2, &[4, 6]) * 3.0 + 1.0;
    let (weight, bias) =
        (to_vec(&named(&store, "layer.weight")).unwrap(), to_vec(&named(&store, "layer.bias")).unwrap());
    let gain = to_vec(&named(&store, "rms.weight")).unwrap();
    let (mut normed, mut scaled) = (Vec::new(), Vec::new());
    for row in to_vec(&x).unwrap().chunks(6) {
        let row: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        let mean = row.iter().sum::<f64>() / 6.0;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 6.0;
        let square = row.iter().map(|v| v * v).sum::<f64>() / 6.0;
        for i in 0..6 {
            normed
                .push((row[i] - mean) / (variance + 1e-3).sqrt() * f64::from(weight[i]) + f64::from(bias[i]));
            scaled.push(row[i] / (square + 1e-3).sqrt() * f64::from(gain[i]));
        }
    }
    // A few roundings of f32.
    expect_close(&layer.forward(&x).unwrap(), &normed, 1e-5);
    expect_close(&rms.forward(&x).unwrap(), &scaled, 1e-5);
    assert!(layer.forward(&noise(0, &[2, 5])).is_err() && rms.forward(&noise(0, &[2, 5])).is_err());
}

#[test]
fn swiglu_is_its_formula() {
    let store = ParamStore::new(Device::Cpu, 1);
    let layer = SwiGlu::new(&store.root(), 4, 7).unwrap();
    shuffle(&store);
    let x = noise(3, &[2, 3, 4]);
    let project = |x: &Tensor, name: &str| x.matmul(&named(&store, name).transpose(0, 1));
    let gate = project(&x, "gate_proj.weight");
    let hidden = &gate * gate.sigmoid() * project(&x, "up_proj.weight");
    let expected: Vec<f64> =
        to_vec(&project(&hidden, "down_proj.weight")).unwrap().into_iter().map(f64::from).collect();
    // Another order of the same f32 operations.
    expect_close(&layer.forward(&x).unwrap(), &expected, 1e-5);
}

#[test]
fn linear_multiplies_the_last_axis() {
    let store = ParamStore::new(Device::Cpu, 1);
    let layer = Linear::with_init(&store.root(), 2, 3, true, Init::Const(2.0)).unwrap();
    layer.bias().unwrap().detach().copy_(&Tensor::from_slice(&[1_f32, 2.0, 3.0]));
    let x = Tensor::from_slice(&[1_f32, 10.0]).reshape([1, 1, 2]);
    assert_eq!(to_vec(&layer.forward(&x).unwrap()).unwrap(), [23.0, 24.0, 25.0]);
    assert!(matches!(layer.forward(&noise(0, &[2, 3])), Err(Error::Torch(_))));
    assert!(Linear::new(&store.root().sub("a"), -1, 3, true).is_err());
}

#[test]
fn embeddings_look_up_and_check_their_ids() {
    let store = ParamStore::new(Device::Cpu, 1);
    let table = Embedding::new(&store.root(), 5, 3).unwrap();
    let ids = Tensor::from_slice(&[4_i64, 0, 4, 2]).reshape([2, 2]);
    let vectors = table.forward(&ids).unwrap();
    assert_eq!(vectors.size(), [2, 2, 3]);
    let rows = to_vec(table.weight()).unwrap();
    let expected: Vec<f32> = [4, 0, 4, 2].iter().flat_map(|i| rows[i * 3..i * 3 + 3].to_vec()).collect();
    assert_eq!(to_vec(&vectors).unwrap(), expected);
    for bad in [[5_i64, 0], [0, -1], [i64::MAX, 0], [i64::MIN, 0]] {
        let error = table.forward(&Tensor::from_slice(&bad)).unwrap_err();
        assert!(matches!(error, Error::Input { .. }), "{error}");
        assert!(error.to_string().contains("0..5"), "{error}");
    }
    assert!(matches!(table.forward(&noise(0, &[2])), Err(Error::Input { .. })));
    let none = Tensor::zeros([0, 4], (Kind::Int64, Device::Cpu));
    assert_eq!(table.forward(&none).unwrap().size(), [0, 4, 3]);
}
