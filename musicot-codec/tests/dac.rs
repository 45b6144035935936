//! Agreement of DAC with transformers and Descript's package on their published layouts; the fixtures are made by
//! `tests/reference/dac.py`.
// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used)]

mod golden_common;
mod published_common;

use golden_common::{Copy, cosine, json};
use musicot_codec::{Dac, DacConfig};
use musicot_core::tch::{Device, Kind, Tensor};
use published_common::{Case, names, share_of_equal};

const ALL: [&str; 3] = ["dac_transformers", "dac_odd", "dac_descript"];

#[test]
fn codes_and_waveforms_are_those_of_the_reference() {
    for name in ALL {
        let case = Case(name);
        let codec = Dac::load(case.folder(), Device::Cpu).unwrap();
        let audio = case.input("audio");
        let codes = codec.encode(&audio, case.levels()).unwrap();
        case.agrees("codes", &codes);
        let decoded = codec.decode(&codes).unwrap();
        case.agrees("decoded", &decoded.narrow(2, 0, audio.size()[2].min(decoded.size()[2])));
    }
}

#[test]
fn a_file_of_descript_says_its_sizes() {
    let folder = Case("dac_descript").folder();
    let config = Dac::load(folder.join("weights.pth"), Device::Cpu).unwrap().config().clone();
    let expected = DacConfig {
        encoder_hidden_size: 4,
        downsampling_ratios: vec![3, 2],
        hidden_size: 10,
        decoder_hidden_size: 12,
        upsampling_ratios: vec![2, 3],
        n_codebooks: 4,
        codebook_size: 16,
        codebook_dim: 4,
        sampling_rate: 44_100,
    };
    assert_eq!(config, expected);
    // Another file of torch.save.
    names(
        Dac::load(Case("vocos_center").folder().join("pytorch_model.bin"), Device::Cpu),
        &["metadata.kwargs"],
    );
}

#[test]
fn a_file_of_descript_may_have_the_name_it_is_downloaded_under() {
    let folder = tempfile::tempdir().unwrap();
    let weights = Case("dac_descript").folder().join("weights.pth");
    let load = || Dac::load(folder.path(), Device::Cpu);
    names(load(), &["config.json"]);
    std::fs::copy(&weights, folder.path().join("weights_44khz_8kbps_0.0.1.pth")).unwrap();
    assert_eq!(load().unwrap().config().codebook_size, 16);
    std::fs::copy(&weights, folder.path().join("weights_24khz_8kbps_0.0.4.pth")).unwrap();
    names(load(), &["config.json"]);
}

/// The codewords chosen by rounded activations are mostly the same; decoding is compared on the same codes.
#[test]
fn bfloat16_stays_close_to_f32() {
    for name in ALL {
        let case = Case(name);
        let codec = Dac::load_as(case.folder(), Device::Cpu, Kind::BFloat16).unwrap();
        let codes = codec.encode(&case.input("audio"), case.levels()).unwrap();
        let equal = share_of_equal(&codes, &case.output("codes"));
        let decoded = codec.decode(&case.output("codes")).unwrap();
        let expected = case.output("decoded");
        let cosine = cosine(&decoded.narrow(2, 0, expected.size()[2]), &expected);
        println!("{name} in bfloat16: {equal:.3} of the codes equal, cosine {cosine:.5}");
        assert!(cosine >= 0.999 && equal > 0.8, "{name}: {cosine}, {equal}");
    }
    names(Dac::load_as(Case(ALL[0]).folder(), Device::Cpu, Kind::Bool), &["floating-point", "Bool"]);
}

fn transformers() -> Copy {
    Copy::of("dac_transformers", &["config.json"])
}

fn opened(copy: &Copy) -> musicot_codec::Result<Dac> {
    copy.load(|dir| Dac::load(dir, Device::Cpu))
}

#[test]
fn configurations_are_honoured_or_refused() {
    for (key, value, culprits) in [
        ("hop_length", json("16"), ["hop_length", "16"]),
        ("downsampling_ratios", json("[2, 0]"), ["downsampling_ratios", "[2, 0]"]),
        ("downsampling_ratios", json("8"), ["downsampling_ratios", "8"]),
        ("upsampling_ratios", json("[4, 4]"), ["upsampling_ratios", "16"]),
        ("decoder_hidden_size", json("3"), ["decoder_hidden_size", "3"]),
        ("n_codebooks", json("0"), ["n_codebooks", "0"]),
        ("codebook_dim", json("[4, 4, 4]"), ["config.json", "sequence"]),
        ("model_type", json("\"encodec\""), ["model_type", "encodec"]),
        ("semantic_model", json("{}"), ["config.json", "semantic_model"]),
        ("hidden_size", json("12"), ["[16", "[12"]),
    ] {
        names(opened(&transformers().set("config.json", key, value)), &culprits);
    }
    let as_on_the_hub = transformers()
        .set("config.json", "hidden_size", 16.into())
        .set("config.json", "hop_length", 8.into())
        .set("config.json", "upsampling_ratios", json("[4, 2]"))
        .set("config.json", "quantizer_dropout", 0.into())
        .set("config.json", "sampling_rate", json("null"));
    assert_eq!(opened(&as_on_the_hub).unwrap().config().sampling_rate, 16_000);
    for config in [DacConfig::khz44(), DacConfig::khz24(), DacConfig::khz16()] {
        config.validate().unwrap();
        assert_eq!(config.hop() * 8, if config.sampling_rate == 44_100 { 4096 } else { 2560 });
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let wrong = || Tensor::ones([5], (Kind::Float, Device::Cpu));
    let extra = transformers().with("quantizer.extra", wrong());
    names(opened(&extra), &["unexpected", "quantizer.extra"]);
    let missing = transformers().without("quantizer.quantizers.1.codebook.weight");
    names(opened(&missing), &["missing", "quantizer.quantizers.1.codebook.weight"]);
    let shaped = transformers().with("decoder.conv2.bias", wrong());
    names(opened(&shaped), &["decoder.conv2.bias", "[1]", "[5]"]);
}

#[test]
fn inputs_that_make_no_sense_are_refused() {
    let codec = Dac::load(Case("dac_transformers").folder(), Device::Cpu).unwrap();
    let audio = Tensor::ones([1, 1, 30], (Kind::Float, Device::Cpu));
    for levels in [0, 4, usize::MAX] {
        names(codec.encode(&audio, levels), &["levels", "1 to 3"]);
    }
    names(codec.encode(&audio.repeat([1, 2, 1]), 3), &["waveform", "[1, 2, 30]"]);
    names(codec.encode(&audio.narrow(2, 0, 0), 3), &["waveform", "at least one"]);
    let codes = codec.encode(&audio, 3).unwrap();
    assert_eq!(codes.size(), [1, 3, 4]);
    names(codec.decode(&(&codes + 16)), &["codes", "0..16"]);
    names(codec.decode(&codes.repeat([1, 2, 1])), &["levels", "6"]);
    names(codec.decode(&codes.narrow(2, 0, 0)), &["codes", "at least one"]);
    names(codec.decode(&codes.to_kind(Kind::Float)), &["codes", "Int64"]);
    assert_eq!(codec.decode(&codes.narrow(1, 0, 1)).unwrap().size(), [1, 1, 32], "the first level alone");
}
