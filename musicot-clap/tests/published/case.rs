//! One directory and what the reference says about it.

use std::path::PathBuf;

use musicot_clap::{Clap, Crop};
use musicot_core::tch::{Device, Kind, Tensor, no_grad, set_num_threads};
use musicot_core::{Checkpoint, files, tensor};
use serde_json::{Map, Value};

pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("clap_{name}"))
}

pub struct Case {
    pub name: String,
    pub texts: Vec<String>,
    max_length: usize,
    inputs: Checkpoint,
    golden: Checkpoint,
}

impl Case {
    pub fn open(name: &str) -> Self {
        set_num_threads(1);
        let folder = folder(name);
        let case: Map<String, Value> = files::read_json(folder.join("case.json")).unwrap();
        let texts = case["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
        Self {
            name: name.to_owned(),
            texts: texts.collect(),
            max_length: case.get("max_length").map_or(77, |length| length.as_u64().unwrap() as usize),
            inputs: Checkpoint::open(folder.join("io.safetensors")).unwrap(),
            golden: Checkpoint::open(folder.join("golden.safetensors")).unwrap(),
        }
    }

    pub fn load(&self, kind: Kind) -> Clap {
        match self.name.starts_with("laion") {
            true => Clap::load_laion_as(folder(&self.name), Device::Cpu, kind).unwrap(),
            false => Clap::load_as(folder(&self.name), Device::Cpu, kind).unwrap(),
        }
    }

    pub fn golden(&self, name: &str) -> Tensor {
        self.golden.tensor(name).unwrap()
    }

    /// Each clip with its crop.
    pub fn clips(&self) -> Vec<(Tensor, Crop)> {
        let count = (0..).take_while(|i| self.inputs.info(&format!("in.wav.{i}")).is_some()).count();
        let clip = |i: usize| {
            let crop = match self.inputs.tensor(&format!("in.offset.{i}")) {
                Err(_) => Crop::Default,
                Ok(starts) => match tensor::to_ids(&starts).unwrap()[..] {
                    [start] => Crop::Window(start),
                    [front, middle, back] => Crop::Thirds([front, middle, back]),
                    ref other => unreachable!("one start or three, got {}", other.len()),
                },
            };
            (self.inputs.tensor(&format!("in.wav.{i}")).unwrap(), crop)
        };
        (0..count).map(clip).collect()
    }

    /// Everything the reference says, by name.
    pub fn outputs(&self, clap: &Clap) -> Vec<(String, Tensor)> {
        let (mut all, mut embeds) = (Vec::new(), Vec::new());
        for (i, (samples, crop)) in self.clips().into_iter().enumerate() {
            let clip = clap.features().clip(&samples, crop).unwrap();
            embeds.push(clap.embed_features(&clip).unwrap());
            all.push((format!("mel.{i}"), clip.mel));
        }
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let tokens = clap.tokenizer().encode_to(&texts, self.max_length, Device::Cpu).unwrap();
        let audio = Tensor::cat(&embeds, 0);
        let text = clap.embed_tokens(&tokens).unwrap();
        let logits = no_grad(|| clap.logits_per_audio(&audio, &text).unwrap());
        all.push(("text_ids".to_owned(), tokens.ids));
        all.extend(
            [("audio_embeds", audio), ("text_embeds", text), ("logits_per_audio", logits)]
                .map(|(name, value)| (name.to_owned(), value)),
        );
        all
    }
}

pub fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}
