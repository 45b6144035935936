//! Asking a checkpoint for shapes.

use musicot_core::{Checkpoint, Error, Result};

/// The shapes of an original checkpoint, by names without the prefix that training on several devices leaves.
pub(super) struct Shapes<'a> {
    checkpoint: &'a Checkpoint,
    prefix: &'static str,
}

/// Stands before every name of a file saved by parallel training.
pub(super) const PREFIX: &str = "module.";

impl<'a> Shapes<'a> {
    pub(super) fn of(checkpoint: &'a Checkpoint) -> Self {
        let has_prefix = checkpoint.names().iter().any(|name| name.starts_with(PREFIX));
        Self { checkpoint, prefix: if has_prefix { PREFIX } else { "" } }
    }

    /// The name in the file.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn find(&self, name: &str) -> Option<Vec<i64>> {
        Some(self.checkpoint.info(&self.name(name))?.shape)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The sizes of a tensor that must be there, with as many axes as the caller takes.
    pub(super) fn get<const N: usize>(&self, name: &str) -> Result<[i64; N]> {
        let Some(shape) = self.find(name) else {
            return Err(self.wrong(name, "is missing: this is no checkpoint of the original code"));
        };
        let sizes: std::result::Result<[i64; N], _> = shape.try_into();
        sizes.map_err(|shape| self.wrong(name, &format!("expected {N} axes, got {shape:?}")))
    }

    /// How many of `name(0)`, `name(1)`, .. are there.
    pub(super) fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..).take_while(|number| self.has(&name(*number))).count()
    }

    pub(super) fn wrong(&self, name: &str, reason: &str) -> Error {
        Error::format(self.checkpoint.path(), format!("tensor `{}`: {reason}", self.name(name)))
    }
}
