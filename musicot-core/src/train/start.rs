//! Runs that begin with trained weights.

use std::path::Path;

use crate::{Error, ParamStore, Result};

/// Copies all parameters of a trained model, which was read from `dir`, to one that is to be trained on; what only the latter has keeps its first values.
///
/// # Errors
/// [`Error::Config`] names the setting `start_from`, the directory and a tensor that the model lacks or has in another shape; nothing was copied then.
pub fn start_from(params: &ParamStore, trained: &ParamStore, dir: &Path) -> Result<()> {
    let copied = params.copy_from(trained, |_| true);
    copied.map_err(|e| Error::config("start_from", format!("{}: {e}", dir.display())))
}
