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
    /// Name of a tensor of the model, and the several tensors of the file that were renamed to it.
    pub ambiguous: Vec<(String, Vec<String>)>,
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
        let ambiguous =
            self.ambiguous.iter().map(|(name, sources)| format!("{name} (from {})", sources.join(" and ")));
        let parts = [
            part("missing", self.missing.iter().cloned()),
            part("unexpected", self.unexpected.iter().cloned()),
            part("wrong shape", shapes),
            part("wrong type", kinds),
            part("ambiguous", ambiguous),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_told_and_long_lists_are_cut() {
        let report = CheckpointReport {
            missing: (0..7).map(|i| format!("m{i}")).collect(),
            unexpected: vec!["u".to_owned()],
            shape_mismatch: vec![("s".to_owned(), vec![2, 3], vec![3])],
            kind_mismatch: vec![("k".to_owned(), "Float".to_owned(), "Int64".to_owned())],
            ambiguous: vec![("a".to_owned(), vec!["x".to_owned(), "y".to_owned()])],
        };
        assert_eq!(
            report.to_string(),
            "7 missing: m0, m1, m2, m3, m4 and 2 more; 1 unexpected: u; 1 wrong shape: s (expected [2, 3], got [3]); \
             1 wrong type: k (expected Float, got Int64); 1 ambiguous: a (from x and y)"
        );
        assert!(!report.is_empty() && CheckpointReport::default().is_empty());
    }
}
