//! Agreement of Oobleck with diffusers and stable-audio-tools on directories in the published layouts; the fixtures are made by
//! `tests/reference/oobleck.py`.
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

mod golden_common;
mod published_common;

use golden_common::{Copy, cosine, json};
use musicot_codec::{AudioCodec, Oobleck, OobleckActivation, OobleckConfig};
use musicot_core::CounterRng;
use musicot_core::tch::{Device, Kind, Tensor};
use published_common::{Case, largest_difference, names};

const ALL: [&str; 5] =
    ["oobleck_stereo", "oobleck_odd", "oobleck_folded", "oobleck_original", "oobleck_original_elu"];

fn load(case: &Case) -> Oobleck {
    Oobleck::load(case.folder(), Device::Cpu).unwrap()
}

fn small(seed: u64) -> Oobleck {
    let config = OobleckConfig {
        encoder_hidden_size: 4,
        posterior_channels: 6,
        decoder_channels: 4,
        decoder_input_channels: 3,
        downsampling_ratios: vec![2, 4],
        channel_multiples: vec![1, 2],
        ..OobleckConfig::stable_audio_open()
    };
    Oobleck::new(&config, Device::Cpu, seed).unwrap()
}

fn noise(seed: u64, shape: &[i64]) -> Tensor {
    CounterRng::new(seed).stage("test").normal(0, shape, Device::Cpu).unwrap()
}

#[test]
fn posteriors_and_waveforms_are_those_of_the_reference() {
    for name in ALL {
        let case = Case(name);
        let codec = load(&case);
        let posterior = codec.posterior(&case.input("audio")).unwrap();
        case.agrees("mean", &posterior.mean);
        case.agrees("std", &posterior.std);
        case.agrees("decoded", &codec.reconstruct(&case.input("latents")).unwrap());
    }
}

/// Blocks with context give what a whole pass gives; the longest case has more latents than two blocks.
#[test]
fn the_trait_agrees_with_the_reference() {
    for name in ALL {
        let case = Case(name);
        let (codec, latents, audio) = (load(&case), case.input("latents"), case.input("audio"));
        let decoded = codec.decode(&latents).unwrap();
        let samples = case.output("decoded").size()[2];
        assert_eq!(decoded.size()[2], latents.size()[2] * codec.hop_frames());
        case.agrees("decoded", &decoded.narrow(2, 0, samples));
        assert_eq!(
            decoded.narrow(2, samples, decoded.size()[2] - samples).abs().sum(Kind::Float).double_value(&[]),
            0.0
        );
        // Padded to whole frames.
        let hop = codec.hop_frames();
        let padded = audio.constant_pad_nd([0, (hop - audio.size()[2] % hop) % hop]);
        let whole = codec.posterior(&padded).unwrap().mean;
        let difference = largest_difference(&codec.encode(&audio).unwrap(), &whole);
        assert!(difference < 1e-5, "{name}: {difference}");
    }
    assert_eq!(OobleckConfig::stable_audio_open().hop(), 2048);
}

#[test]
fn streamed_is_whole_bit_for_bit() {
    let codec = small(3);
    let latents = noise(1, &[2, 3, 150]);
    let whole = codec.decode(&latents).unwrap();
    for piece in [1, 7, 40, 149] {
        let mut session = codec.decode_session(2).unwrap();
        for _ in 0..2 {
            let mut pieces: Vec<Tensor> = (0..150)
                .step_by(piece as usize)
                .map(|start| session.push(&latents.narrow(2, start, piece.min(150 - start))).unwrap())
                .collect();
            pieces.push(session.finish().unwrap());
            assert_eq!(Tensor::cat(&pieces, 2), whole, "pieces of {piece}");
        }
    }
    let difference = largest_difference(&whole, &codec.reconstruct(&latents).unwrap());
    assert!(difference < 1e-5, "{difference} between blocks and a pass over the whole");
}

#[test]
fn nothing_is_encoded_to_nothing() {
    let codec = small(1);
    let silence = Tensor::zeros([2, 2, 0], (Kind::Float, Device::Cpu));
    assert_eq!(codec.encode(&silence).unwrap().size(), [2, 3, 0]);
    assert_eq!(
        codec.decode(&Tensor::zeros([2, 3, 0], (Kind::Float, Device::Cpu))).unwrap().size(),
        [2, 2, 0]
    );
}

#[test]
fn bfloat16_stays_close_to_f32() {
    for name in ALL {
        let case = Case(name);
        let codec = Oobleck::load_as(case.folder(), Device::Cpu, Kind::BFloat16).unwrap();
        let posterior = codec.posterior(&case.input("audio")).unwrap();
        let decoded = codec.reconstruct(&case.input("latents")).unwrap();
        for (output, actual) in [("mean", posterior.mean), ("std", posterior.std), ("decoded", decoded)] {
            let cosine = cosine(&actual, &case.output(output));
            println!("{name} {output} in bfloat16: cosine {cosine:.5}");
            assert_eq!(actual.kind(), Kind::BFloat16);
            assert!(cosine >= 0.999, "{name} {output}: {cosine}");
        }
    }
    names(Oobleck::load_as(Case(ALL[0]).folder(), Device::Cpu, Kind::Int), &["floating-point", "Int"]);
}

fn diffusers() -> Copy {
    Copy::of("oobleck_stereo", &["config.json"])
}

fn original() -> Copy {
    Copy::of("oobleck_original", &["model_config.json"])
}

fn opened(copy: &Copy) -> musicot_codec::Result<Oobleck> {
    copy.load(|dir| Oobleck::load(dir, Device::Cpu))
}

/// By whichever spelling, and folded or not, the weights are the same.
#[test]
fn spellings_of_weight_norm_are_the_same() {
    let mut newer = diffusers();
    for (name, _) in &mut newer.tensors {
        *name = name
            .replace("weight_g", "parametrizations.weight.original0")
            .replace("weight_v", "parametrizations.weight.original1");
    }
    let case = Case("oobleck_stereo");
    case.agrees("decoded", &opened(&newer).unwrap().reconstruct(&case.input("latents")).unwrap());
}

#[test]
fn configurations_are_honoured_or_refused() {
    for (key, value, culprits) in [
        ("downsampling_ratios", json("[2, 1]"), ["downsampling_ratios", "[2, 1]"]),
        ("downsampling_ratios", json("[2]"), ["channel_multiples", "2"]),
        ("downsampling_ratios", json("[]"), ["downsampling_ratios", "[]"]),
        (
            "downsampling_ratios",
            json("[4096, 4096, 4096, 4096, 4096, 4096]"),
            ["downsampling_ratios", "4096"],
        ),
        ("channel_multiples", json("[1, 0]"), ["channel_multiples", "0"]),
        ("encoder_hidden_size", json("7"), ["posterior_channels", "7"]),
        ("decoder_channels", json("-1"), ["decoder_channels", "-1"]),
        ("audio_channels", json("\"two\""), ["config.json", "two"]),
        ("final_tanh", json("true"), ["config.json", "final_tanh"]),
        ("_class_name", json("\"AutoencoderKL\""), ["_class_name", "AutoencoderKL"]),
    ] {
        names(opened(&diffusers().set("config.json", key, value)), &culprits);
    }
    let usual = opened(&diffusers().set("config.json", "sampling_rate", json("null"))).unwrap();
    assert_eq!(usual.sample_rate_hz(), 44_100);
}

#[test]
fn original_configurations_are_honoured_or_refused() {
    let config = opened(&original()).unwrap().config().clone();
    assert_eq!((config.latent_scale, config.sampling_rate, config.final_tanh), (0.75, 16_000, false));
    let elu = OobleckConfig::read_original(Case("oobleck_original_elu").folder().join("model_config.json"));
    let elu = elu.unwrap();
    assert_eq!((elu.activation, elu.final_tanh, elu.posterior_channels), (OobleckActivation::Elu, true, 4));
    const AT: &str = "model.pretransform.config";
    for (key, value, culprits) in [
        ("decoder.type", json("\"dac\""), ["decoder.type", "dac"]),
        ("encoder.config.antialias_activation", json("true"), ["antialias_activation", "true"]),
        ("decoder.config.use_nearest_upsample", json("true"), ["use_nearest_upsample", "true"]),
        ("decoder.config.strides", json("[4, 2]"), ["decoder.config", "strides"]),
        ("encoder.config.latent_dim", json("8"), ["encoder.config.latent_dim", "8"]),
        ("encoder.config.depth", json("8"), ["encoder.config", "depth"]),
        ("bottleneck.type", json("\"rvq\""), ["bottleneck.type", "rvq"]),
        ("downsampling_ratio", json("16"), ["downsampling_ratio", "16"]),
        ("io_channels", json("1"), ["channels", "1"]),
        ("decoder.soft_clip", json("true"), ["soft_clip", "true"]),
        ("pretransform", json("{}"), ["pretransform", "model_config.json"]),
    ] {
        names(opened(&original().set("model_config.json", &format!("{AT}.{key}"), value)), &culprits);
    }
    names(
        opened(&original().set("model_config.json", "model.pretransform.chunked", json("true"))),
        &["chunked", "true"],
    );
    names(
        opened(&original().set("model_config.json", "model.pretransform.scale", json("0.0"))),
        &["latent_scale", "0"],
    );
    let unbound = original().set("model_config.json", &format!("{AT}.bottleneck"), json("null"));
    names(opened(&unbound), &["bottleneck", "missing"]);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let wrong = || Tensor::ones([5], (Kind::Float, Device::Cpu));
    let extra = diffusers().with("decoder.extra", wrong());
    names(opened(&extra), &["unexpected", "decoder.extra"]);
    let missing = diffusers().without("decoder.block.0.snake1.beta");
    names(opened(&missing), &["missing", "decoder.block.0.snake1.beta"]);
    let shaped = original().with("pretransform.model.encoder.layers.1.layers.3.alpha", wrong());
    names(opened(&shaped), &["encoder.layers.1.layers.3.alpha", "[4]", "[5]"]);
    // What lies beside the autoencoder of a diffusion model is none of its business, what lies in it is.
    let inside = original().with("pretransform.model.bottleneck.scale", wrong());
    names(opened(&inside), &["unexpected", "bottleneck.scale"]);
}

#[test]
fn inputs_that_make_no_sense_are_refused() {
    let codec = small(1);
    names(codec.posterior(&noise(1, &[1, 1, 64])), &["waveform", "[1, 1, 64]"]);
    names(codec.posterior(&noise(1, &[1, 2, 7])), &["waveform", "at least 8"]);
    names(codec.posterior(&(noise(1, &[1, 2, 64]) / 0.0)), &["waveform", "infinite"]);
    names(codec.posterior(&Tensor::ones([1, 2, 64], (Kind::Int64, Device::Cpu))), &["waveform", "Int64"]);
    names(codec.reconstruct(&noise(1, &[1, 3, 0])), &["latents", "at least one"]);
    names(codec.decode(&noise(1, &[1, 4, 5])), &["latents", "[1, 4, 5]"]);
    names(codec.decode_session(0).map(|_| ()), &["batch", "0"]);
    let config = OobleckConfig { decoder_input_channels: 5, ..codec.config().clone() };
    let uneven = Oobleck::new(&config, Device::Cpu, 0).unwrap();
    names(uneven.encode(&noise(1, &[1, 2, 64])), &["decoder_input_channels", "3", "5"]);
}
