//! What is compared, and what is said about it.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::spread::Spread;

/// Something that both sides do.
#[derive(Debug, PartialEq)]
pub struct Item {
    /// Its name here and in the example `peers`.
    pub name: &'static str,
    /// The script of benches/peers, without `.py`.
    pub script: &'static str,
    /// For the table's heading.
    pub title: &'static str,
    /// What rates count per second.
    pub unit: &'static str,
    /// Whether `--quick` has it.
    pub is_quick: bool,
    pub stated: &'static [Stated],
}

/// Our variant is to be so many times as fast as the peer's.
#[derive(Debug, PartialEq)]
pub struct Stated {
    pub ours: &'static str,
    pub peer: &'static str,
    pub ratio: f64,
}

const fn stated(ours: &'static str, peer: &'static str, ratio: f64) -> Stated {
    Stated { ours, peer, ratio }
}

/// Of all that the project compares itself in. That of the large model at 4 bits is 25 steps a second, which the song and its unconditional branch share.
/// Where weights are read from memory in every step, memory is the last peer: as many steps a second as it gives the bytes of the weights. At 8 bits
/// that is little more than what ctranslate2 comes to.
pub const ITEMS: [Item; 9] = [
    Item {
        name: "lm-small",
        script: "lm",
        title: "Decoding, 16 M parameters (width 384, 8 layers), two rows behind 600 positions",
        unit: "steps",
        is_quick: true,
        stated: &[
            stated("musicot f32", "transformers float32", 2.0),
            stated("musicot bf16", "transformers bfloat16", 2.0),
            stated("musicot int8", "ctranslate2 int8", 1.0),
        ],
    },
    Item {
        name: "lm-1b",
        script: "lm",
        title: "Decoding, 1.0 B parameters (2048 x 22), two rows behind 600 positions",
        unit: "steps",
        is_quick: false,
        stated: &[
            stated("musicot bf16", "transformers bfloat16", 1.0),
            stated("musicot int8", "ctranslate2 int8", 1.0),
            stated("musicot int4", "transformers bfloat16", 4.5),
            stated("musicot f32", "memory, the weights in f32", 0.8),
            stated("musicot bf16", "memory, the weights in bf16", 0.8),
            stated("musicot int8", "memory, the weights in int8", 0.8),
        ],
    },
    Item {
        name: "clap",
        script: "clap",
        title: "CLAP, published size: windows of 10 s to embeddings, front end included, four at once",
        unit: "windows",
        is_quick: true,
        stated: &[stated("musicot", "transformers", 1.3)],
    },
    Item {
        name: "clap-text",
        script: "clap",
        title: "CLAP, published size: captions to embeddings, tokenizer included, 32 at once",
        unit: "captions",
        is_quick: true,
        stated: &[stated("musicot", "transformers", 1.3)],
    },
    Item {
        name: "rvq",
        script: "rvq",
        title: "Residual quantisation: 12 levels of 1024 codewords of 512 values, 4096 vectors at once",
        unit: "vectors",
        is_quick: true,
        stated: &[stated("musicot", "vector-quantize-pytorch", 2.5)],
    },
    Item {
        name: "codec",
        script: "codec",
        title: "Stable Audio's autoencoder: latents to 44.1 kHz stereo",
        unit: "seconds of audio",
        is_quick: true,
        stated: &[stated("musicot", "diffusers", 1.0)],
    },
    Item {
        name: "diffusion",
        script: "diffusion",
        title: "Stable Audio's transformer: one evaluation, two rows of 256 frames",
        unit: "evaluations",
        is_quick: true,
        stated: &[stated("musicot", "diffusers", 1.0)],
    },
    Item {
        name: "audio",
        script: "audio",
        title: "Files of 60 s (44.1 kHz stereo) to 48 kHz mono",
        unit: "seconds of audio",
        is_quick: true,
        stated: &[
            stated("musicot, flac", "PyAV, flac", 1.0),
            stated("musicot, flac", "soundfile + soxr, flac", 1.0),
            stated("musicot, ogg", "PyAV, ogg", 1.0),
            stated("musicot, ogg", "soundfile + soxr, ogg", 1.0),
            stated("musicot, mp3", "PyAV, mp3", 1.0),
            stated("musicot, mp3", "soundfile + soxr, mp3", 1.0),
            stated("musicot, m4a", "PyAV, m4a", 1.0),
        ],
    },
    Item {
        name: "training",
        script: "training",
        title: "Training of 16 M parameters with AdamW, four rows of 512 tokens a step",
        unit: "tokens",
        is_quick: true,
        stated: &[
            stated("musicot f32", "PyTorch float32", 1.0),
            stated("musicot bf16", "PyTorch bfloat16", 1.0),
        ],
    },
];

/// The item of a name.
pub fn find(name: &str) -> Result<&'static Item> {
    ITEMS.iter().find(|item| item.name == name).ok_or_else(|| {
        let known = ITEMS.each_ref().map(|item| item.name).join(", ");
        Error::Usage(format!("there is no item `{name}`. There are: {known}."))
    })
}

/// Calls of a variant in a round.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Measured {
    pub variant: String,
    /// Units of one call.
    units: f64,
    /// Seconds of each call.
    secs: Vec<f64>,
    #[serde(skip)]
    round: usize,
}

/// The lines of one side in a round.
pub fn read(output: &str, round: usize) -> Result<Vec<Measured>> {
    let line = |line: &str| {
        let malformed = |detail: String| Error::Malformed { what: format!("`{line}`"), detail };
        let measured: Measured = serde_json::from_str(line).map_err(|e| malformed(e.to_string()))?;
        if measured.secs.is_empty() || measured.secs.iter().any(|secs| *secs <= 0.0) {
            return Err(malformed("no times, or times of nothing".into()));
        }
        Ok(Measured { round, ..measured })
    };
    // Libraries may write other lines.
    output.lines().filter(|line| line.starts_with('{')).map(line).collect()
}

impl Measured {
    /// Units a second, by the median call.
    pub fn rate(&self) -> f64 {
        self.units / Spread::of(self.secs.clone()).median
    }
}

/// What came out of a stated ratio.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    pub stated: &'static Stated,
    pub ratio: Spread,
}

impl Verdict {
    pub fn is_met(&self) -> bool {
        self.ratio.median >= self.stated.ratio
    }

    /// For the summary.
    pub fn pair(&self, item: &Item) -> String {
        let Stated { ours, peer, ratio } = self.stated;
        format!("{}: {ours} / {peer} {:.2}, stated {ratio}", item.name, self.ratio.median)
    }
}

impl Item {
    /// The ratio of each stated pair, round by round.
    pub fn verdicts(&self, measured: &[Measured]) -> Result<Vec<Verdict>> {
        let verdict = |stated: &'static Stated| {
            let of = |name: &'static str| measured.iter().filter(move |measured| measured.variant == name);
            let ratios: Vec<f64> = of(stated.ours)
                .filter_map(|ours| {
                    let peer = of(stated.peer).find(|peer| peer.round == ours.round)?;
                    Some(ours.rate() / peer.rate())
                })
                .collect();
            match ratios.is_empty() {
                true => Err(Error::Check(format!(
                    "bench-peers: {}: `{}` and `{}` were not both measured",
                    self.name, stated.ours, stated.peer
                ))),
                false => Ok(Verdict { stated, ratio: Spread::of(ratios) }),
            }
        };
        self.stated.iter().map(verdict).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_a_round() {
        let item = find("rvq").unwrap();
        let lines = |ours: f64, peer: f64| {
            format!(
                "a warning\n{{\"variant\": \"musicot\", \"units\": 10, \"secs\": [{ours}, 9, {ours}]}}\n\
                 {{\"variant\": \"vector-quantize-pytorch\", \"units\": 10, \"secs\": [{peer}]}}\n"
            )
        };
        // The machine is half as fast in the second round.
        let measured = [read(&lines(1.0, 3.0), 0).unwrap(), read(&lines(2.0, 4.0), 1).unwrap()].concat();
        let verdicts = item.verdicts(&measured).unwrap();
        assert_eq!(verdicts[0].ratio, Spread { min: 2.0, median: 2.5, max: 3.0 });
        assert!(verdicts[0].is_met() && verdicts[0].pair(item).contains("2.50, stated 2.5"));
        assert!(item.verdicts(&measured[..1]).unwrap_err().to_string().contains("vector-quantize-pytorch"));
    }

    #[test]
    fn broken_lines_are_named() {
        for line in ["{\"variant\": 3}", "{\"variant\": \"a\", \"units\": 1, \"secs\": []}"] {
            assert!(read(line, 0).unwrap_err().to_string().contains("variant"), "{line}");
        }
    }
}
