//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lexopt::ValueExt;
use musicot::Stage;

use crate::common::{self, Outcome};
use crate::part::Part;

const HELP: &str = "\
Measures a trained model on pieces held out from training: a table per section with the target beside each figure, and pass or
SHORT. A figure that cannot be computed is reported as `not measured`, with the reason. Writes evaluate.json and evaluate.md.

Usage: evaluate [flags]

  evaluate --bundle models/mini
  evaluate --only clap --clap runs/mini/clap/model      one trained stage, before there is a bundle
  evaluate --only codec,lm --pieces 10
  evaluate --only obedience --solos 4 --prompts 24      does it play what is asked for?
  evaluate --only codec,tokens,budget --transcriber ~/venv/bin/python

Sections (all that are not left out by --only):
  codec       waveform to latents and back
  tokens      true tokens to audio
  clap        instrument families, captions and their pieces, unseen words
  thoughts    embeddings after quantisation
  lm          whether the plan helps the language model
  budget      what each stage loses: the truth is fed into each in turn
  generation  clips of captions of held-out pieces: like the corpus, unlike one another, no copies
  obedience   clips of plain prompts: solo instrument, tempo, key, loudness, seams

  --bundle DIR     trained model [models/mini]
  --codec DIR      a stage directory in the place of the bundle's; also --semantic, --clap, --rvq, --lm, --diffusion
  --no-plan-lm DIR a language model trained for as long without plans, for `lm`
  --heldout FILE   manifest of the held-out pieces [data/heldout/manifest.jsonl]
  --train FILE     manifest of the pieces trained on [data/more/manifest.jsonl]
  --stems FILE     manifest of pieces trained on that have stems, for the judges of instruments [data/train/manifest.jsonl]
  --encoded DIR    folder with train/tokens and heldout/tokens as `train encode` wrote them with the same stages;
                   without it the recordings are encoded again
  --only LIST      sections, separated by commas
  --pieces N       at most N held-out pieces in each section, evenly spread [24 in codec, tokens and budget, 60 in
                   obedience, else all]
  --prompts N      prompts of `generation`, each with 2 seeds; prompts of `obedience` with a tempo in numbers [32]
  --solos N        prompts of `obedience` per instrument family, 10 s each [6]
  --judge-stems N  stems of each family that the judge beside CLAP is fitted on [96]
  --secs S         seconds of each generated clip, and of the clips of `budget`; a tempo can be told from 6 s on [15]
  --transcriber P  a Python, or a script that starts one, with the packages that tests/reference/eval_notes.py names: measures F1 of
                   notes in codec, tokens and budget
  --out DIR        where the report goes [out/evaluate]
  --threads N      threads of libtorch [2, or as many as the machine has]
";

/// Pieces in the sections that decode each piece several times.
const PIECES_DECODED: usize = 24;

/// The command line.
pub struct Options {
    pub bundle: Option<PathBuf>,
    pub stage_dirs: BTreeMap<Stage, PathBuf>,
    pub no_plan_lm: Option<PathBuf>,
    pub heldout: PathBuf,
    pub train: PathBuf,
    pub stems: PathBuf,
    pub encoded: Option<PathBuf>,
    pub only: Vec<Part>,
    pub pieces: Option<usize>,
    pub prompts: usize,
    pub solos: usize,
    pub judge_stems: usize,
    pub secs: f64,
    pub transcriber: Option<PathBuf>,
    pub out: PathBuf,
    pub threads: Option<i32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bundle: None,
            stage_dirs: BTreeMap::new(),
            no_plan_lm: None,
            heldout: "data/heldout/manifest.jsonl".into(),
            train: "data/more/manifest.jsonl".into(),
            stems: "data/train/manifest.jsonl".into(),
            encoded: None,
            only: Part::ALL.to_vec(),
            pieces: None,
            prompts: 32,
            solos: 6,
            judge_stems: 96,
            secs: 15.0,
            transcriber: None,
            out: "out/evaluate".into(),
            threads: None,
        }
    }
}

impl Options {
    /// `None` when help was asked for and given.
    pub fn read() -> Outcome<Option<Self>> {
        let mut options = Self::default();
        let goes_on = common::flags(HELP, |name, args| options.take(name, args))?;
        Ok(goes_on.then_some(options))
    }

    fn take(&mut self, name: &str, args: &mut lexopt::Parser) -> Outcome<bool> {
        match name {
            "bundle" => self.bundle = Some(args.value()?.into()),
            "no-plan-lm" => self.no_plan_lm = Some(args.value()?.into()),
            "heldout" => self.heldout = args.value()?.into(),
            "train" => self.train = args.value()?.into(),
            "stems" => self.stems = args.value()?.into(),
            "encoded" => self.encoded = Some(args.value()?.into()),
            "only" => self.only = parts(&common::list(args)?)?,
            "pieces" => self.pieces = Some(common::positive(args.value()?.parse()?)? as usize),
            "prompts" => self.prompts = common::positive(args.value()?.parse()?)? as usize,
            "solos" => self.solos = common::positive(args.value()?.parse()?)? as usize,
            "judge-stems" => self.judge_stems = common::positive(args.value()?.parse()?)? as usize,
            "transcriber" => self.transcriber = Some(args.value()?.into()),
            "secs" => self.secs = common::seconds(args.value()?.parse()?)?,
            "out" => self.out = args.value()?.into(),
            "threads" => self.threads = Some(common::positive(args.value()?.parse()?)?),
            _ => return common::stage_dir(name, args, &mut self.stage_dirs),
        }
        Ok(true)
    }

    /// Most pieces in a section that decodes each of them several times.
    pub fn pieces_decoded(&self) -> usize {
        self.pieces.unwrap_or(PIECES_DECODED)
    }
}

fn parts(names: &[String]) -> Outcome<Vec<Part>> {
    let known = Part::ALL.map(Part::name).join(", ");
    let find = |name: &String| {
        let part = Part::ALL.into_iter().find(|part| part.name() == name);
        part.ok_or_else(|| format!("there is no section `{name}`; there are {known}").into())
    };
    match names.is_empty() {
        true => Err(format!("expected sections of {known}, got none").into()),
        false => names.iter().map(find).collect(),
    }
}
