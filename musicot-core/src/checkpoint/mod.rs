//! Reading and writing checkpoints, strictly: exactly the model's tensors, exactly their shapes.
//!
//! [`Checkpoint`] opens a file (or a directory, also one of shards), [`crate::ParamStore::load`] copies it into a model, and
//! [`write()`] makes a file. The format is that of <https://github.com/huggingface/safetensors>; the one addition is how
//! [`Storage::Int8`] keeps the scales of quantised matrices. Files of PyTorch's `torch.save` are read too, without running
//! anything that is in them.

mod index;
mod pickle;
mod read;
mod rename;
mod report;
mod safetensors;
mod shard;
mod source;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

#[cfg(feature = "hub")]
pub(crate) use index::{NAMES as WEIGHT_FILES, shard_names};
pub use read::{Checkpoint, TensorInfo};
pub use rename::KeyMap;
pub use report::CheckpointReport;
use source::Source;
pub(crate) use write::expect_name;
pub use write::{Storage, write};

/// Which element types a checkpoint may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DtypePolicy {
    /// Any floating-point type (or our int8 rows) is converted to the parameter's type; integers must match.
    #[default]
    Convert,
    /// The stored type must be the parameter's (int8 rows count as f32).
    Exact,
}

/// How a checkpoint is matched with a model.
///
/// Without being asked, a weight-normed pair of the file (`X.weight_g` and `X.weight_v`, or `X.parametrizations.weight.original0` and
/// `original1`) becomes the model's `X.weight`.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// From the file's names to the model's.
    pub rename: KeyMap,
    /// Which element types are accepted.
    pub dtype: DtypePolicy,
}

/// A checkpoint that was found to hold exactly what a model needs, to be read all at once or in parts; see [`crate::ParamStore::loading`].
#[derive(Debug)]
pub struct Loading<'a> {
    checkpoint: &'a Checkpoint,
    named: Vec<(String, Tensor)>,
    /// Model name to what is read.
    sources: BTreeMap<String, Source>,
}

impl<'a> Loading<'a> {
    pub(crate) fn new(
        checkpoint: &'a Checkpoint,
        options: &LoadOptions,
        named: Vec<(String, Tensor)>,
    ) -> Result<Self> {
        let (sources, report) = compare(checkpoint, options, &named);
        if !report.is_empty() {
            return Err(Error::Checkpoint { path: checkpoint.path().to_owned(), report: Box::new(report) });
        }
        Ok(Self { checkpoint, named, sources })
    }

    /// Fills the parameters whose names are `wanted`.
    ///
    /// # Errors
    /// [`Error::Format`] when the file cannot be read, or changed meanwhile.
    pub fn fill(&self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        for (name, target) in self.named.iter().filter(|(name, _)| wanted(name)) {
            let Some(source) = self.sources.get(name) else { continue };
            if is_placeholder(target) {
                let memory = Tensor::f_empty(target.size(), (target.kind(), target.device()))?;
                target.shallow_clone().f_set_data(&memory)?;
            }
            // Detached: copying into a leaf that requires gradients is an update, not part of a graph.
            source.read_into(self.checkpoint, &target.f_detach()?)?;
        }
        Ok(())
    }
}

/// Zeros of a shape that take no memory: one value, seen from everywhere.
pub(crate) fn placeholder(shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
    let one = Tensor::f_zeros(vec![1; shape.len()], (kind, device))?;
    Ok(one.f_expand(shape, false)?)
}

fn is_placeholder(tensor: &Tensor) -> bool {
    let mut dims = tensor.size().into_iter().zip(tensor.stride());
    tensor.numel() > 1 && dims.all(|(size, stride)| size == 1 || stride == 0)
}

/// Model name to file name, and every difference.
fn compare(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    named: &[(String, Tensor)],
) -> (BTreeMap<String, Source>, CheckpointReport) {
    let mut report = CheckpointReport::default();
    let known: BTreeSet<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let pairs = options.rename.pairs(checkpoint.names());
    let pairs = source::fold_weight_norm(pairs, checkpoint, |name| known.contains(name));
    let sources = unique(pairs, &mut report);
    for (name, target) in named {
        let Some((source, shape)) = sources.get(name).and_then(|s| Some((s, s.shape(checkpoint)?))) else {
            report.missing.push(name.clone());
            continue;
        };
        if shape != target.size() {
            report.shape_mismatch.push((name.clone(), target.size(), shape));
        }
        let kind = source.kind(checkpoint);
        if !kind.is_some_and(|kind| kind_fits(options.dtype, kind, target.kind())) {
            let found = kind.map_or_else(|| source.dtype_name(checkpoint), |kind| format!("{kind:?}"));
            report.kind_mismatch.push((name.clone(), format!("{:?}", target.kind()), found));
        }
    }
    report.unexpected = sources.keys().filter(|name| !known.contains(name.as_str())).cloned().collect();
    (sources, report)
}

/// The pairs as a map; names that several tensors were renamed to are reported.
fn unique(pairs: Vec<(String, Source)>, report: &mut CheckpointReport) -> BTreeMap<String, Source> {
    let mut all: BTreeMap<String, Vec<Source>> = BTreeMap::new();
    for (name, source) in pairs {
        all.entry(name).or_default().push(source);
    }
    let several = all.iter().filter(|(_, sources)| sources.len() > 1);
    report.ambiguous = several
        .map(|(name, sources)| (name.clone(), sources.iter().map(Source::to_string).collect()))
        .collect();
    all.into_iter().filter_map(|(name, sources)| Some((name, sources.into_iter().next()?))).collect()
}

fn kind_fits(policy: DtypePolicy, stored: Kind, wanted: Kind) -> bool {
    stored == wanted || (policy == DtypePolicy::Convert && is_float(stored) && is_float(wanted))
}

fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}
