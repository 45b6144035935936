//! Reading and writing safetensors checkpoints, strictly: exactly the model's tensors, exactly their shapes.

mod read;
mod rename;
mod report;
mod write;

use tch::{Kind, Tensor};

use crate::{Error, Result};

pub use read::Checkpoint;
pub use rename::KeyMap;
pub use report::CheckpointReport;
pub use write::{Storage, write};

/// Which element types a checkpoint may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DtypePolicy {
    /// Any floating-point type (or our int8 rows) is converted to the parameter's type; integers must match.
    #[default]
    Convert,
    /// The stored type must be the parameter's.
    Exact,
}

/// How a checkpoint is matched with a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// From the file's names to the model's.
    pub rename: KeyMap,
    /// Which element types are accepted.
    pub dtype: DtypePolicy,
}

/// Copies a checkpoint into tensors that must be exactly its content; see [`crate::ParamStore::load`].
pub(crate) fn fill(checkpoint: &Checkpoint, options: &LoadOptions, named: &[(String, Tensor)]) -> Result<()> {
    let sources = options.rename.apply(checkpoint.names());
    let report = compare(checkpoint, options.dtype, &sources, named);
    if !report.is_empty() {
        return Err(Error::Checkpoint { path: checkpoint.path().to_owned(), report: Box::new(report) });
    }
    for (name, target) in named {
        let source = checkpoint.tensor(&sources[name])?.f_to_kind(target.kind())?;
        // Detached: copying into a leaf that requires gradients is an update, not part of a graph.
        target.f_detach()?.f_copy_(&source)?;
    }
    Ok(())
}

fn compare(
    checkpoint: &Checkpoint,
    dtype: DtypePolicy,
    sources: &std::collections::BTreeMap<String, String>,
    named: &[(String, Tensor)],
) -> CheckpointReport {
    let mut report = CheckpointReport::default();
    for (name, target) in named {
        let Some(info) = sources.get(name).and_then(|source| checkpoint.info(source)) else {
            report.missing.push(name.clone());
            continue;
        };
        if info.shape != target.size() {
            report.shape_mismatch.push((name.clone(), target.size(), info.shape.clone()));
        }
        if !kind_fits(dtype, info.kind, target.kind()) {
            report.kind_mismatch.push((name.clone(), format!("{:?}", target.kind()), format!("{:?}", info.kind)));
        }
    }
    let known: std::collections::BTreeSet<&String> = named.iter().map(|(name, _)| name).collect();
    report.unexpected = sources.keys().filter(|name| !known.contains(name)).cloned().collect();
    report
}

fn kind_fits(policy: DtypePolicy, stored: Kind, wanted: Kind) -> bool {
    let is_float = |kind| matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16);
    stored == wanted || (policy == DtypePolicy::Convert && is_float(stored) && is_float(wanted))
}
