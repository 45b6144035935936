//! The files of a tokenizer.

use musicot_core::tch::Device;
use musicot_core::tensor;
use serde_json::{Value, json};

use super::copy::Copy;

fn ids(copy: &Copy, text: &str) -> Vec<i64> {
    let clap = copy.load().unwrap();
    tensor::to_ids(&clap.tokenizer().encode(&[text], Device::Cpu).unwrap().ids).unwrap()
}

/// The texts of all cases are the reference's own ids; here is what differs between the files.
#[test]
fn a_mask_swallows_the_space_before_it_where_the_files_say_so() {
    let (plain, swallowing) = (Copy::of("pad"), Copy::of("fused"));
    let (apart, joined) = (ids(&plain, "x <mask>"), ids(&swallowing, "x <mask>"));
    assert_eq!((apart.len(), joined.len()), (5, 4));
    assert_eq!(ids(&plain, "x<mask>"), joined);
    // Either file may say it, and the newer form of the one.
    assert_eq!(ids(&Copy::of("fused").without("tokenizer_config.json"), "x <mask>"), joined);
    assert_eq!(ids(&Copy::of("fused").without("special_tokens_map.json"), "x <mask>"), joined);
    let last = joined[2].to_string();
    let decoder = json!({ last: {"content": "<mask>", "lstrip": true, "special": true} });
    let newer =
        Copy::of("fused").without("special_tokens_map.json").edit("tokenizer_config.json", |settings| {
            settings.insert("mask_token".to_owned(), "<mask>".into());
            settings.insert("added_tokens_decoder".to_owned(), decoder);
        });
    assert_eq!(ids(&newer, "x <mask>"), joined);
}

#[test]
fn settings_of_the_tokenizer_are_honoured() {
    let spaced = Copy::of("fused").edit("tokenizer_config.json", |settings| {
        drop(settings.insert("add_prefix_space".to_owned(), true.into()))
    });
    assert_eq!(ids(&spaced, "drums"), ids(&Copy::of("fused"), " drums"));
    let short = Copy::of("fused").edit("tokenizer_config.json", |settings| {
        drop(settings.insert("model_max_length".to_owned(), 7.into()))
    });
    assert_eq!(ids(&short, "a calm piano piece with soft drums and so on").len(), 7);
    assert_eq!(ids(&Copy::of("fused"), &"z ".repeat(99)).len(), 28, "positions but for the padding's two");
}

#[test]
fn broken_tokenizers_are_named() {
    Copy::of("unfused").without("tokenizer.json").expect_refused(&["tokenizer.json"]);
    Copy::of("fused").without("merges.txt").expect_refused(&["merges.txt"]);
    Copy::of("fused").write("merges.txt", "#version: 0.2\na b c\n").expect_refused(&[
        "merges.txt",
        "line 2",
        "a b c",
    ]);
    Copy::of("fused").write("merges.txt", "#version: 0.2\na žluť\n").expect_refused(&["vocab.json"]);
    Copy::of("fused").write("vocab.json", "[]").expect_refused(&["vocab.json"]);
    let without_mask = |entries: &mut serde_json::Map<String, Value>| drop(entries.remove("<mask>"));
    Copy::of("fused").edit("vocab.json", without_mask).expect_refused(&[
        "vocab.json",
        "mask_token",
        "<mask>",
    ]);
    let other = |settings: &mut serde_json::Map<String, Value>| {
        drop(settings.insert("tokenizer_class".to_owned(), "CLIPTokenizer".into()))
    };
    Copy::of("fused")
        .edit("tokenizer_config.json", other)
        .expect_refused(&["`tokenizer_class`", "CLIPTokenizer"]);
}
