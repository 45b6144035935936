//! The directory of a case.

use std::error::Error;
use std::path::{Path, PathBuf};

use musicot::core::Checkpoint;
use musicot::core::files::read_json;
use musicot::core::tch::{Kind, Tensor};
use musicot::core::tensor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::common::{Outcome, note};

pub struct Case {
    pub dir: PathBuf,
    kind: String,
    options: Map<String, Value>,
    inputs: Checkpoint,
}

#[derive(Deserialize)]
struct Known<T> {
    #[serde(flatten)]
    options: T,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Case {
    pub fn open(dir: PathBuf) -> Outcome<Self> {
        let mut options: Map<String, Value> = read_json(dir.join("case.json"))?;
        let kind = match options.remove("kind") {
            Some(Value::String(kind)) => kind,
            _ => return Err(format!("{}: expected a `kind`", dir.join("case.json").display()).into()),
        };
        let inputs = Checkpoint::open(dir.join("io.safetensors"))?;
        Ok(Self { dir, kind, options, inputs })
    }

    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The checkpoint of a kind whose files have no usual name: the only file of weights beside the inputs, or where there are several the
    /// directory, in which one with a usual name is looked for.
    pub fn weights(&self) -> PathBuf {
        let files = std::fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let found: Vec<PathBuf> =
            files.filter(|file| is_of_weights(file) && file.as_path() != self.path()).collect();
        <[PathBuf; 1]>::try_from(found).map_or_else(|_| self.dir.clone(), |[file]| file)
    }

    /// The options of the kind. Others are passed over, as a case may hold remarks, but named in case they are misspelt.
    pub fn options<T: DeserializeOwned>(&self) -> Outcome<T> {
        let options = Value::Object(self.options.clone());
        let read: Known<T> = serde_json::from_value(options).map_err(|e| self.broken(&e.to_string()))?;
        for name in read.others.keys() {
            note(format_args!("note: case.json: `{name}` is not an option of kind {}", self.kind));
        }
        Ok(read.options)
    }

    /// Whether there is an input of this name.
    pub fn has(&self, name: &str) -> bool {
        self.inputs.info(&format!("in.{name}")).is_some()
    }

    /// Where a part of a published pipeline lies: in the case's directory, or below it as in the pipeline's own.
    pub fn part(&self, name: &str) -> PathBuf {
        let below = self.dir.join(name);
        let is_below = !self.dir.join("config.json").exists() && below.join("config.json").is_file();
        if is_below { below } else { self.dir.clone() }
    }

    /// An input of numbers, as f32.
    pub fn numbers(&self, name: &str) -> Outcome<Tensor> {
        let tensor = self.input(name)?;
        match tensor.kind() {
            Kind::Int | Kind::Int64 => Ok(tensor.f_to_kind(Kind::Float)?),
            _ => self.floats(name),
        }
    }

    /// An input of floating point, as f32.
    pub fn floats(&self, name: &str) -> Outcome<Tensor> {
        let tensor = self.input(name)?;
        match tensor.is_floating_point() {
            true => Ok(tensor.f_to_kind(Kind::Float)?),
            false => Err(self.wrong(name, "floating point", &tensor)),
        }
    }

    /// An input of so many axes, of floating point; axes of length 1 are put in front where there are fewer.
    pub fn floats_of(&self, name: &str, axes: usize) -> Outcome<Tensor> {
        let tensor = self.floats(name)?;
        match axes.checked_sub(tensor.dim()) {
            Some(missing) => Ok(tensor.f_reshape([vec![1; missing], tensor.size()].concat())?),
            None => Err(self.wrong(name, &format!("at most {axes} axes"), &tensor)),
        }
    }

    /// A clip `[samples]` of one channel; other axes may only be of length 1.
    pub fn clip(&self, name: &str) -> Outcome<Tensor> {
        let tensor = self.floats(name)?;
        match tensor.size().iter().filter(|size| **size != 1).count() {
            0 | 1 => Ok(tensor.f_reshape([-1])?),
            _ => Err(self.wrong(name, "one channel [samples]", &tensor)),
        }
    }

    /// An input of ids `[batch, seq]`, as i64.
    pub fn ids(&self, name: &str) -> Outcome<Tensor> {
        let tensor = self.input(name)?;
        match matches!(tensor.kind(), Kind::Int64 | Kind::Int) && tensor.dim() == 2 {
            true => Ok(tensor.f_to_kind(Kind::Int64)?),
            false => Err(self.wrong(name, "ids [batch, seq]", &tensor)),
        }
    }

    /// An input of a few integers, in any shape.
    pub fn integers(&self, name: &str) -> Outcome<Vec<i64>> {
        let tensor = self.input(name)?;
        tensor::to_ids(&tensor).map_err(|_| self.wrong(name, "integers", &tensor))
    }

    /// An error about case.json.
    pub fn broken(&self, reason: &str) -> Box<dyn Error> {
        format!("{}: {reason}", self.dir.join("case.json").display()).into()
    }

    /// An error about an input.
    pub fn broken_input(&self, name: &str, reason: &str) -> Box<dyn Error> {
        format!("{}: `in.{name}`: {reason}", self.path().display()).into()
    }

    fn input(&self, name: &str) -> Outcome<Tensor> {
        let full = format!("in.{name}");
        match self.inputs.info(&full) {
            Some(_) => Ok(self.inputs.tensor(&full)?),
            None => Err(format!("{}: kind {} needs `{full}`", self.path().display(), self.kind).into()),
        }
    }

    fn wrong(&self, name: &str, expected: &str, found: &Tensor) -> Box<dyn Error> {
        self.broken_input(name, &format!("expected {expected}, got {:?} {:?}", found.kind(), found.size()))
    }

    fn path(&self) -> &Path {
        self.inputs.path()
    }
}

fn is_of_weights(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("safetensors" | "bin" | "pt" | "pth" | "th" | "ckpt"))
}
