//! The sections of the report.

/// A section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Codec,
    Tokens,
    Clap,
    Thoughts,
    Lm,
    Budget,
    Generation,
    Obedience,
}

impl Part {
    pub const ALL: [Self; 8] = [
        Self::Codec,
        Self::Tokens,
        Self::Clap,
        Self::Thoughts,
        Self::Lm,
        Self::Budget,
        Self::Generation,
        Self::Obedience,
    ];

    /// What `--only` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Tokens => "tokens",
            Self::Clap => "clap",
            Self::Thoughts => "thoughts",
            Self::Lm => "lm",
            Self::Budget => "budget",
            Self::Generation => "generation",
            Self::Obedience => "obedience",
        }
    }

    /// What it measures, in a few sentences.
    pub fn about(self) -> &'static str {
        match self {
            Self::Codec => {
                "Waveform to latents and back. Chroma: 12 bins per 40 ms, mean cosine of active frames; onset F1 at 50 ms; note F1: \
                 an outside transcriber's notes of the copy against its notes of the original, onsets within 50 ms. The Griffin-Lim \
                 baseline has the same number of values per second; the ceiling is the true magnitudes with the codec's own phases."
            }
            Self::Tokens => {
                "True semantic tokens, true thoughts (quantised) and the caption to latents by diffusion, decoded by the codec, \
                 against the original."
            }
            Self::Clap => {
                "Instrument family of a solo clip (the loudest window of each stem) by the nearest of the texts `the sound of ...`; \
                 captions and their pieces; words that no training caption has."
            }
            Self::Thoughts => {
                "Embeddings of held-out windows (one every half window) after the residual quantiser."
            }
            Self::Lm => {
                "Mean negative log-likelihood of audio tokens, nats per token; intervals are over pieces, differences are paired."
            }
            Self::Budget => {
                "The truth fed into each stage in turn, on the first seconds of held-out pieces. Chroma, onsets and notes are compared \
                 with the original, which no clip that the language model wrote has to have; tempo and key are shares of clips with \
                 those of the piece's tags. Frechet distances, squared, are from as long clips of other held-out pieces (features of \
                 timbre in units of their deviation there); they are biased upwards alike in all rows, so that only differences count. \
                 A stage's loss is a step along this way: original, codec, diffusion of the true tokens, the language model's tokens of \
                 the true plan, its own plan."
            }
            Self::Generation => {
                "Clips from captions of held-out pieces, two seeds each, against clips of the same length cut from the held-out pieces."
            }
            Self::Obedience => {
                "Clips of plain prompts, with the bundle's own settings. Solo instruments: the family that CLAP's texts are nearest to, and \
                 that a linear classifier of timbre (no network) hears, which was fitted on stems of training pieces, plain and by way of the \
                 codec. Tempo by autocorrelation of the onset envelope, key by profiles. Chance: the same clips against what the other \
                 prompts asked for; ceiling: recordings whose instrument, tempo and key are known."
            }
        }
    }
}
