//! Bringing files into the cache.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use hf_hub::Repo;
use hf_hub::api::sync::{Api, ApiError, Metadata};

use super::progress::{HubProgress, Reporter};
use super::{Hub, HubError, HubModel, blob, listing, repo_at};
use crate::{Error, Result};

/// What is waited before each further attempt.
const WAITS: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];

/// Does something until it succeeds, fails for good, or has failed too often.
pub(super) fn retried<T>(mut work: impl FnMut() -> Result<T, HubError>) -> Result<T, HubError> {
    for wait in WAITS {
        match work() {
            Err(error) if error.is_passing() => sleep(wait),
            other => return other,
        }
    }
    work()
}

/// One commit of a model on its way into the cache.
pub(super) struct Transfer<'a> {
    hub: &'a Hub,
    model: &'a HubModel,
    commit: &'a str,
    /// The model at that very commit, so that all files are of one.
    repo: Repo,
}

/// A file that is not there yet.
struct Pending {
    name: String,
    etag: String,
    bytes: u64,
}

impl<'a> Transfer<'a> {
    pub fn new(hub: &'a Hub, model: &'a HubModel, commit: &'a str) -> Self {
        Self { hub, model, commit, repo: repo_at(model, commit) }
    }

    /// The snapshot's folder.
    pub fn folder(&self) -> PathBuf {
        self.hub.cache.repo(self.repo.clone()).pointer_path(self.commit)
    }

    /// Fetches those that are not in the cache; offline, that is an error.
    pub fn bring(&self, names: &[String], progress: &mut dyn FnMut(HubProgress<'_>)) -> Result<()> {
        let folder = self.folder();
        let missing: Vec<&String> = names.iter().filter(|name| !folder.join(name).is_file()).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let Some(api) = &self.hub.api else {
            return Err(listing::not_cached(self.model, folder.join(first)).into());
        };
        let mut pending = Vec::new();
        for name in missing {
            let file = self.measure(api, name)?;
            if !self.link_known(&file)? {
                pending.push(file);
            }
        }
        let total = pending.iter().map(|file| file.bytes).sum();
        let mut before = 0;
        for file in &pending {
            self.download(api, file, (before, total), progress)?;
            before += file.bytes;
        }
        Ok(())
    }

    fn address(&self, name: &str) -> String {
        format!("{}/{}/resolve/{}/{name}", self.hub.endpoint, self.repo.url(), self.repo.url_revision())
    }

    fn blob(&self, file: &Pending) -> PathBuf {
        self.hub.cache.repo(self.repo.clone()).blob_path(&file.etag)
    }

    /// Asks for a file's size and identity.
    fn measure(&self, api: &Api, name: &str) -> Result<Pending, HubError> {
        let address = self.address(name);
        let found = retried(|| metadata(api, &address))?;
        let wrong = |reason| Err(HubError::Answer { address: address.clone(), reason });
        let etag = found.etag();
        // It becomes the name of a file.
        if etag.is_empty()
            || etag.len() > 128
            || !etag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return wrong(format!("expected an ETag of letters, digits and `-`, got `{etag}`"));
        }
        if found.commit_hash() != self.commit {
            return wrong(format!("expected a file of commit {}, got {}", self.commit, found.commit_hash()));
        }
        Ok(Pending { name: name.to_owned(), etag: etag.to_owned(), bytes: found.size() as u64 })
    }

    /// Puts a file in place whose content another commit brought.
    fn link_known(&self, file: &Pending) -> Result<bool> {
        let pointer = self.folder().join(&file.name);
        // A link to nothing would stand in the way.
        if pointer.is_symlink() && !pointer.exists() {
            fs::remove_file(&pointer).map_err(Error::io(&pointer))?;
        }
        let blob = self.blob(file);
        if !blob.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == file.bytes) {
            return Ok(false);
        }
        if let Some(parent) = pointer.parent() {
            fs::create_dir_all(parent).map_err(Error::io(parent))?;
        }
        blob::link(&blob, &pointer, &file.name).map_err(Error::io(&pointer))?;
        Ok(true)
    }

    fn download(
        &self,
        api: &Api,
        file: &Pending,
        (before, total): (u64, u64),
        progress: &mut dyn FnMut(HubProgress<'_>),
    ) -> Result<(), HubError> {
        let address = self.address(&file.name);
        let pointer = self.folder().join(&file.name);
        retried(|| {
            // Another program may have fetched it while this one waited.
            if pointer.is_file() {
                return Ok(());
            }
            let reporter =
                Reporter { callback: &mut *progress, file: (&file.name, file.bytes), before, total, done: 0 };
            match api.repo(self.repo.clone()).download_with_progress(&file.name, reporter) {
                Ok(_) => self.check(file, &address, &pointer),
                Err(error) => Err(self.explain(error, file, &address)),
            }
        })
    }

    /// A part that cannot be gone on with is removed, so that the next attempt begins anew.
    fn explain(&self, error: ApiError, file: &Pending, address: &str) -> HubError {
        let is_full =
            matches!(&error, ApiError::RequestError(e) if matches!(**e, ureq::Error::StatusCode(416)));
        if !is_full && !matches!(error, ApiError::InvalidResume) {
            return match HubError::of_api(error, address) {
                HubError::Cache { source, .. } => HubError::Cache { path: self.blob(file), source },
                other => other,
            };
        }
        match fs::remove_file(self.blob(file).with_extension("part")) {
            Ok(()) => HubError::Damaged {
                address: address.to_owned(),
                reason: "the part that was there does not fit".to_owned(),
            },
            Err(_) => HubError::of_api(error, address),
        }
    }

    /// hf-hub takes what comes; here it must be what was announced.
    fn check(&self, file: &Pending, address: &str, pointer: &Path) -> Result<(), HubError> {
        let blob = self.blob(file);
        let Err(reason) = blob::verify(&blob, file.bytes, &file.etag) else { return Ok(()) };
        for path in [pointer, &blob] {
            if let Err(source) = fs::remove_file(path)
                && source.kind() != io::ErrorKind::NotFound
            {
                return Err(HubError::Cache { path: path.to_owned(), source });
            }
        }
        Err(HubError::Damaged { address: address.to_owned(), reason })
    }
}

/// hf-hub's request, with its panic on a redirect to nowhere turned into an error.
fn metadata(api: &Api, address: &str) -> Result<Metadata, HubError> {
    match catch_unwind(AssertUnwindSafe(|| api.metadata(address))) {
        Ok(found) => found.map_err(|error| HubError::of_api(error, address)),
        Err(_) => {
            let reason = "expected a file or a redirect to one".to_owned();
            Err(HubError::Answer { address: address.to_owned(), reason })
        }
    }
}
