//! Fetching published checkpoints by name (feature `hub`), through [hf-hub](https://docs.rs/hf-hub).
//!
//! [`Hub::fetch`] brings what a checkpoint needs into the cache that the Hugging Face tools share, and returns the folder that the
//! `load` functions of the crates take:
//!
//! ```no_run
//! # fn main() -> musicot_core::Result<()> {
//! use musicot_core::Checkpoint;
//! use musicot_core::hub::{Hub, HubModel};
//!
//! let hub = Hub::builder().build()?;
//! let snapshot = hub.fetch(&HubModel::new("laion/larger_clap_music"), &mut |progress| {
//!     eprint!("\r{} of {} bytes", progress.done_bytes, progress.total_bytes);
//! })?;
//! let checkpoint = Checkpoint::open(snapshot.dir())?;
//! println!("{} at commit {}", snapshot.dir().display(), snapshot.commit());
//! # Ok(())
//! # }
//! ```
//!
//! **What is fetched.** Of each folder asked for ([`HubModel::folder`]; the top level if none): one set of weights, safetensors (whole or
//! sharded) before pickles, and the files of configuration and vocabulary beside it. Nothing else, so that a repository with five formats costs
//! one. Other files are named with [`HubModel::file`].
//!
//! **Requests.** A branch or tag costs one small request, which asks where it points now; a commit whose files are all there costs none. Offline
//! ([`HubBuilder::offline`], or `HF_HUB_OFFLINE=1`) nothing is asked and the cache alone is consulted.
//!
//! **Interruptions.** A file appears in the snapshot when it is whole. A connection that breaks is tried again, and what an interrupted program
//! had received is gone on with by the next fetch. Sizes are checked, and the SHA-256 where the hub tells it (of all large files).
//!
//! **Limits.** Downloads are one after the other; hf-hub sets no time limits and a file under way cannot be stopped from the callback. Only
//! models, not data sets.

mod blob;
mod builder;
mod error;
mod listing;
mod model;
mod progress;
mod select;
mod snapshot;
mod transfer;

use hf_hub::api::sync::Api;
use hf_hub::{Cache, Repo, RepoType};

use crate::Result;
use listing::Listing;
use transfer::Transfer;

pub use builder::HubBuilder;
pub use error::HubError;
pub use model::HubModel;
pub use progress::HubProgress;
pub use snapshot::Snapshot;

/// A place to fetch published models from, and the cache they are kept in.
///
/// ```
/// # fn main() -> musicot_core::Result<()> {
/// use musicot_core::hub::{Hub, HubModel};
/// let cache = tempfile::tempdir().unwrap();
/// let hub = Hub::builder().cache_dir(cache.path()).offline(true).build()?;
/// let error = hub.fetch(&HubModel::new("laion/larger_clap_music"), &mut |_| {}).unwrap_err();
/// assert!(error.to_string().contains("laion/larger_clap_music"));
/// # Ok(())
/// # }
/// ```
pub struct Hub {
    cache: Cache,
    endpoint: String,
    /// `None`: offline.
    api: Option<Api>,
}

impl Hub {
    /// Starts from what the environment says, as the other Hugging Face tools do; see [`HubBuilder`].
    pub fn builder() -> HubBuilder {
        HubBuilder::from_env()
    }

    /// Makes sure that the files of `model` are in the cache, and returns their folder. `progress` is called while bytes arrive.
    ///
    /// # Errors
    /// [`crate::Error::Input`] names a repository, revision or file that cannot be a name; [`crate::Error::Hub`] says what could not be fetched
    /// and why; [`crate::Error::Io`] and [`crate::Error::Format`] concern the cache.
    pub fn fetch(&self, model: &HubModel, progress: &mut dyn FnMut(HubProgress<'_>)) -> Result<Snapshot> {
        model.validate()?;
        let listing = match &self.api {
            Some(api) => Listing::online(api, &self.endpoint, &self.cache, model)?,
            None => Listing::offline(&self.cache, model)?,
        };
        let transfer = Transfer::new(self, model, &listing.commit);
        let mut choice = select::choose(model, &listing.commit, &listing.files)?;
        // An index is small and says which of the large files are wanted.
        transfer.bring(&choice.indices, &mut |_| {})?;
        choice.add_shards(model, &listing.commit, &transfer.folder(), &listing.files)?;
        transfer.bring(&choice.files, progress)?;
        if self.api.is_some() {
            listing::remember(&self.cache, model, &listing)?;
        }
        Ok(Snapshot::new(transfer.folder(), listing.commit, choice.into_names()))
    }
}

impl std::fmt::Debug for Hub {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("cache", self.cache.path())
            .field("endpoint", &self.endpoint)
            .field("offline", &self.api.is_none())
            .finish()
    }
}

/// hf-hub's name of a model at a revision.
fn repo_at(model: &HubModel, revision: &str) -> Repo {
    Repo::with_revision(model.repo().to_owned(), RepoType::Model, revision.to_owned())
}
