//! The differences between a checkpoint and a model.

use std::fmt;

/// Every difference between a checkpoint and a model; empty when they fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// Tensors of the model that the file lacks.
    pub missing: Vec<String>,
    /// Tensors of the file that the model does not have.
    pub unexpected: Vec<String>,
    /// Name, expected and actual shape.
    pub shape_mismatch: Vec<(String, Vec<i64>, Vec<i64>)>,
    /// Name, expected and actual element type.
    pub kind_mismatch: Vec<(String, String, String)>,
}

impl CheckpointReport {
    /// Whether the checkpoint fits.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Names listed in a message; the rest is counted.
const SHOWN: usize = 5;

impl fmt::Display for CheckpointReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes = self
            .shape_mismatch
            .iter()
            .map(|(name, expected, actual)| format!("{name} (expected {expected:?}, got {actual:?})"));
        let kinds = self
            .kind_mismatch
            .iter()
            .map(|(name, expected, actual)| format!("{name} (expected {expected}, got {actual})"));
        let parts = [
            part("missing", self.missing.iter().cloned()),
            part("unexpected", self.unexpected.iter().cloned()),
            part("wrong shape", shapes),
            part("wrong type", kinds),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

fn part(title: &str, names: impl ExactSizeIterator<Item = String>) -> Option<String> {
    let count = names.len();
    if count == 0 {
        return None;
    }
    let shown: Vec<String> = names.take(SHOWN).collect();
    let rest = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
    Some(format!("{count} {title}: {}{rest}", shown.join(", ")))
}
