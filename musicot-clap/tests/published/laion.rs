//! The layout of the original code.

use musicot_clap::{Clap, ClapConfig, Truncation};
use musicot_core::tch::{Device, Kind, Tensor};
use serde_json::json;

use super::case::folder;
use super::copy::{Copy, expect_named};

fn load(copy: &Copy) -> musicot_core::Result<Clap> {
    Clap::load_laion(copy.path(), Device::Cpu)
}

#[test]
fn sizes_are_found_in_the_shapes() {
    for (name, fused, n_fft) in [("laion", false, 64), ("laion_fused", true, 64)] {
        // 1001 frames of the original front end do not fit these small images, nor 12 heads this small text tower.
        expect_named(load(&Copy::of(name).without("preprocessor_config.json")), &["hop_samples", "1001"]);
        expect_named(load(&Copy::of(name).without("config.json")), &["num_attention_heads", "12"]);
        let config = ClapConfig::read_laion(folder(name)).unwrap();
        let audio = &config.audio_config;
        assert_eq!(
            (audio.spec_size, audio.num_mel_bins, audio.window_size, audio.patch_size),
            (64, 16, 4, 4)
        );
        assert_eq!(
            (&audio.depths[..], &audio.num_attention_heads[..]),
            ([2, 1].as_slice(), [2, 4].as_slice())
        );
        assert_eq!((audio.hidden_size, audio.mlp_ratio, audio.qkv_bias), (16, 4.0, true));
        assert_eq!((audio.enable_fusion, audio.aff_block_r), (fused, 4));
        assert_eq!(config.features.truncation == Truncation::Fusion, fused);
        assert_eq!((config.features.n_fft, config.projection_dim), (n_fft, 12));
        let text = &config.text_config;
        assert_eq!((text.num_attention_heads, text.layer_norm_eps, text.max_tokens), (2, 1e-5, 77));
    }
}

#[test]
fn a_file_may_be_named_itself_and_lack_what_is_not_used() {
    let copy = Copy::of("laion_fused");
    Clap::load_laion(copy.path().join("tiny_fusion.pt"), Device::Cpu).unwrap();
    let unused = ["tscam_conv", "attn_mask", "logmel", "spectrogram", "_transform", "head", "position_ids"];
    let bare = Copy::of("laion").tensors(|all| {
        all.retain(|(name, _)| !unused.iter().any(|part| name.contains(part)));
    });
    // No tensor then shows the side of the image: that of all published models.
    assert_eq!(load(&bare).unwrap().config().audio_config.spec_size, 256);
    let prefixed =
        Copy::of("laion").tensors(|all| all.iter_mut().for_each(|(name, _)| name.insert_str(0, "module.")));
    load(&prefixed).unwrap();
}

#[test]
fn the_text_tower_of_a_clap_configuration_is_read() {
    let clap = |copy: Copy| {
        copy.edit("config.json", |roberta| {
            let tower = std::mem::take(roberta);
            roberta
                .extend([("model_type".to_owned(), json!("clap")), ("text_config".to_owned(), json!(tower))]);
        })
    };
    let own = load(&Copy::of("laion")).unwrap();
    assert_eq!(load(&clap(Copy::of("laion"))).unwrap().config(), own.config());
    let changed = clap(Copy::of("laion").set("layer_norm_eps", json!(1e-12)));
    assert_eq!(load(&changed).unwrap().config().text_config.layer_norm_eps, 1e-12);
    expect_named(load(&clap(Copy::of("laion")).set("model_type", json!("clip"))), &["`model_type`", "clip"]);
}

#[test]
fn what_does_not_fit_is_named() {
    let ones = |shape: &[i64]| Tensor::ones(shape, (Kind::Float, Device::Cpu));
    let copy = || Copy::of("laion");
    let norm = "audio_branch.norm.weight";
    expect_named(load(&copy().without_tensor(norm)), &["missing", "audio_encoder.norm.weight"]);
    expect_named(load(&copy().with_tensor(norm, ones(&[3]))), &["wrong shape", "[3]"]);
    expect_named(
        load(&copy().with_tensor("audio_branch.head2.weight", ones(&[3]))),
        &["unexpected", "head2"],
    );
    expect_named(
        load(&copy().with_tensor("audio_branch.absolute_pos_embed", ones(&[3]))),
        &["absolute_pos_embed"],
    );
    expect_named(load(&copy().without_tensor("audio_branch.bn0.weight")), &["bn0.weight", "missing"]);
    expect_named(
        load(&copy().with_tensor("audio_branch.bn0.weight", ones(&[4, 4]))),
        &["bn0.weight", "1 axes"],
    );
    let table = "audio_branch.layers.0.blocks.0.attn.relative_position_bias_table";
    expect_named(load(&copy().with_tensor(table, ones(&[48, 2]))), &[table, "48"]);
    let kinds = "text_branch.embeddings.token_type_embeddings.weight";
    expect_named(load(&copy().with_tensor(kinds, ones(&[2, 16]))), &[kinds, "RoBERTa"]);
    expect_named(load(&copy().front("frequency_max", json!(1800))), &["melW", "1800"]);
    expect_named(load(&copy().set("model_type", json!("bert"))), &["`model_type`", "bert"]);
    expect_named(load(&copy().without("vocab.json")), &["tokenizer.json"]);
    expect_named(load(&Copy::of("unfused")), &["audio_projection.0.weight", "original"]);
    assert!(Clap::load_laion(copy().path().join("nothing.pt"), Device::Cpu).is_err());
}
