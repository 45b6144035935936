//! The command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lexopt::{Parser, ValueExt};
use musicot::Stage;

use crate::common::{self, Outcome};

const HELP: &str = "\
Repeats the experiments of the MusiCoT paper in the small. Each writes NAME.json, NAME.md and its pictures.

Usage: experiments NAME [flags]

  experiments rvq
  experiments sampling --prompts 100 --lm runs/experiments/lm-thoughts/model
  experiments plan --quick --out out/quick
  experiments tokens words --tokens data/encoded/train/tokens --manifest data/more/manifest.jsonl --out data/experiments/words/train

  rvq              how well thoughts survive quantisation, per number of levels and codebook size
  analyzability    whether thoughts tell how loud each instrument is, on pieces and on generated audio
  sampling         single and dual temperature and guidance scale; then one parameter at a time
  plan             plan, no plan (MeLoDy) and plan in words, at equal compute
  robustness       one prompt and many seeds; thoughts of 10 s and of 5 s
  order            order of the codes and number of levels
  reference        whether a reference is followed, and that nothing is copied
  listening        a page for blind ratings; with --results, what its listeners said
  obedience        a guidance scale of its own for the key; the best of many plans
  diffusion        how latents are sampled: temperature, scales of tokens and of the rest
  tokens KIND      token datasets for the language models of plan, robustness and order: words, levels (--levels N), short (--secs 5)

  --bundle DIR     trained model [models/mini]; --clap, --rvq, --semantic, --diffusion, --codec DIR stand in for a stage of it
  --runs DIR       folder with the experiments' own language models, NAME/model each [runs/experiments]
  --data DIR       folder with their token datasets, KIND/train and KIND/heldout each [data/experiments]
  --lm DIR         sampling: a language model of another size, for the corner cells once more [RUNS/lm-thoughts/model, if it is there]
  --heldout FILE   manifest of the held-out pieces [data/heldout/manifest.jsonl]
  --train FILE     manifest of pieces trained on, with stems [data/train/manifest.jsonl]
  --encoded DIR    folder with train/tokens and heldout/tokens as `train encode` wrote them [data/encoded, if it is there]
  --vectors FILE   rvq, analyzability: embeddings of training windows [data/embeddings/train.safetensors, if it is there]
  --pieces N       at most N held-out pieces where pieces are measured [all; 100 with stems]
  --prompts N      prompts that music is made of [100 in sampling, obedience and diffusion, 24 or fewer in others]
  --seeds N        robustness: seeds per prompt [6]
  --secs S         length of a clip [10 in sampling, obedience and diffusion, 20 in robustness, reference and listening, 40 in others]
  --steps N        rvq: steps of training [400]
  --results FILE   listening: a file of ratings; may be given several times
  --tokens DIR, --manifest FILE, --levels N    for `tokens`
  --quick          tiny counts: whether everything works, not what comes out
  --out DIR        where files go [out/experiments]
  --threads N      threads of libtorch [2, or as many as the machine has]
";

/// The command line.
pub struct Options {
    pub bundle: Option<PathBuf>,
    pub stage_dirs: BTreeMap<Stage, PathBuf>,
    pub runs: PathBuf,
    pub data: PathBuf,
    pub second_lm: Option<PathBuf>,
    pub heldout: PathBuf,
    pub train: PathBuf,
    pub encoded: Option<PathBuf>,
    pub vectors: Option<PathBuf>,
    pub pieces: Option<usize>,
    pub tokens: Option<PathBuf>,
    pub manifest: Option<PathBuf>,
    pub levels: usize,
    pub results: Vec<PathBuf>,
    pub out: PathBuf,
    pub threads: Option<i32>,
    prompts: Option<usize>,
    seeds: Option<usize>,
    secs: Option<f64>,
    steps: Option<usize>,
    quick: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bundle: None,
            stage_dirs: BTreeMap::new(),
            runs: "runs/experiments".into(),
            data: "data/experiments".into(),
            second_lm: None,
            heldout: "data/heldout/manifest.jsonl".into(),
            train: "data/train/manifest.jsonl".into(),
            encoded: found("data/encoded", "data/encoded/heldout/tokens/dataset.json"),
            vectors: found("data/embeddings/train.safetensors", "data/embeddings/train.safetensors"),
            pieces: None,
            tokens: None,
            manifest: None,
            levels: 2,
            results: Vec::new(),
            out: "out/experiments".into(),
            threads: None,
            prompts: None,
            seeds: None,
            secs: None,
            steps: None,
            quick: false,
        }
    }
}

/// A default that is taken where a file is there.
fn found(path: &str, proof: &str) -> Option<PathBuf> {
    Path::new(proof).is_file().then(|| path.into())
}

impl Options {
    /// The words, at least one, and the flags; `None` when help was asked for and given.
    pub fn read() -> Outcome<Option<(Vec<String>, Self)>> {
        let mut options = Self::default();
        let Some(words) = common::words(HELP, |name, args| options.take(name, args))? else {
            return Ok(None);
        };
        let words: Vec<String> = words.iter().map(|word| word.display().to_string()).collect();
        match words.is_empty() {
            true => Err("expected the name of an experiment; --help lists them".into()),
            false => Ok(Some((words, options))),
        }
    }

    fn take(&mut self, name: &str, args: &mut Parser) -> Outcome<bool> {
        let count =
            |args: &mut Parser| -> Outcome<usize> { Ok(common::positive(args.value()?.parse()?)? as usize) };
        match name {
            "bundle" => self.bundle = Some(args.value()?.into()),
            "runs" => self.runs = args.value()?.into(),
            "data" => self.data = args.value()?.into(),
            "lm" => self.second_lm = Some(args.value()?.into()),
            "heldout" => self.heldout = args.value()?.into(),
            "train" => self.train = args.value()?.into(),
            "encoded" => self.encoded = Some(args.value()?.into()),
            "vectors" => self.vectors = Some(args.value()?.into()),
            "tokens" => self.tokens = Some(args.value()?.into()),
            "manifest" => self.manifest = Some(args.value()?.into()),
            "results" => self.results.push(args.value()?.into()),
            "levels" => self.levels = count(args)?,
            "pieces" => self.pieces = Some(count(args)?),
            "prompts" => self.prompts = Some(count(args)?),
            "seeds" => self.seeds = Some(count(args)?),
            "steps" => self.steps = Some(count(args)?),
            "secs" => self.secs = Some(common::seconds(args.value()?.parse()?)?),
            "quick" => self.quick = true,
            "out" => self.out = args.value()?.into(),
            "threads" => self.threads = Some(common::positive(args.value()?.parse()?)?),
            _ => return common::stage_dir(name, args, &mut self.stage_dirs),
        }
        Ok(true)
    }

    /// A count: the usual one, or a tiny one for a quick run.
    pub fn usual(&self, usual: usize, quick: usize) -> usize {
        if self.quick { quick } else { usual }
    }

    pub fn prompts(&self, usual: usize) -> usize {
        self.prompts.unwrap_or(self.usual(usual, 3))
    }

    pub fn seeds(&self) -> usize {
        self.seeds.unwrap_or(self.usual(6, 2))
    }

    pub fn steps(&self) -> usize {
        self.steps.unwrap_or(self.usual(400, 20))
    }

    pub fn secs(&self, usual: f64) -> f64 {
        self.secs.unwrap_or(if self.quick { usual.min(20.0) } else { usual })
    }

    /// Most held-out pieces where each is read as a whole.
    pub fn pieces_read(&self, usual: usize) -> usize {
        self.pieces.unwrap_or(self.usual(usual, 4))
    }
}
