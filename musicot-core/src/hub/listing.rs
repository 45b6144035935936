//! Which commit a revision stands for, and which files it has.

use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiError};
use hf_hub::{Cache, Repo};
use serde::Deserialize;

use super::model::{is_commit, is_path};
use super::{HubError, HubModel, repo_at};
use crate::files::{read_json, write_json};
use crate::{Error, Result};

/// The files of a commit.
pub(super) struct Listing {
    pub commit: String,
    /// Sorted; those with names that no path here may have are left out.
    pub files: Vec<String>,
}

/// The part of the hub's answer that counts.
#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Listing {
    /// Asks the hub, unless the revision is a commit that was listed before.
    pub fn online(api: &Api, endpoint: &str, cache: &Cache, model: &HubModel) -> Result<Self> {
        if model.is_pinned()
            && let Some(known) = Self::remembered(cache, model, model.revision_name())?
        {
            return Ok(known);
        }
        let repo = repo_at(model, model.revision_name());
        let address = format!("{endpoint}/api/{}", repo.api_url());
        let answer = super::transfer::retried(|| ask(api, repo.clone(), &address))?;
        if !is_commit(&answer.sha) {
            let reason = format!("expected a commit, got `{}`", answer.sha);
            return Err(HubError::Answer { address, reason }.into());
        }
        let files = answer.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        Ok(Self::new(answer.sha, files))
    }

    /// What the cache knows: the list of an earlier fetch, or else the files that another tool left there.
    pub fn offline(cache: &Cache, model: &HubModel) -> Result<Self> {
        let commit = cached_commit(cache, model)?;
        if let Some(known) = Self::remembered(cache, model, &commit)? {
            return Ok(known);
        }
        let snapshot = cache.repo(repo_at(model, &commit)).pointer_path(&commit);
        if !snapshot.is_dir() {
            return Err(not_cached(model, snapshot).into());
        }
        let mut files = Vec::new();
        collect(&snapshot, "", &mut files)?;
        Ok(Self::new(commit, files))
    }

    fn new(commit: String, mut files: Vec<String>) -> Self {
        files.retain(|name| is_path(name));
        files.sort();
        Self { commit, files }
    }

    fn remembered(cache: &Cache, model: &HubModel, commit: &str) -> Result<Option<Self>> {
        let path = list_path(cache, model, commit);
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(Self::new(commit.to_owned(), read_json(path)?)))
    }
}

fn ask(api: &Api, repo: Repo, address: &str) -> Result<Answer, HubError> {
    let call = api.repo(repo).info_request().call();
    let mut answer = call.map_err(|error| HubError::of_request(error, address.to_owned()))?;
    answer.body_mut().read_json().map_err(|error| match error {
        ureq::Error::Json(error) => {
            HubError::Answer { address: address.to_owned(), reason: error.to_string() }
        }
        other => HubError::of_api(ApiError::RequestError(Box::new(other)), address),
    })
}

/// Writes down what a whole fetch found: where the revision points, and the list of files, which a commit never changes.
pub(super) fn remember(cache: &Cache, model: &HubModel, listing: &Listing) -> Result<()> {
    let path = list_path(cache, model, &listing.commit);
    if !path.is_file() {
        write_json(&path, &listing.files)?;
    }
    if model.is_pinned() {
        return Ok(());
    }
    let repo = repo_at(model, model.revision_name());
    cache.repo(repo).create_ref(&listing.commit).map_err(Error::io(ref_path(cache, model)))
}

fn cached_commit(cache: &Cache, model: &HubModel) -> Result<String> {
    if model.is_pinned() {
        return Ok(model.revision_name().to_owned());
    }
    let path = ref_path(cache, model);
    if !path.is_file() {
        return Err(not_cached(model, path).into());
    }
    let commit = std::fs::read_to_string(&path).map_err(Error::io(&path))?.trim().to_owned();
    if is_commit(&commit) { Ok(commit) } else { Err(Error::format(path, "expected the id of a commit")) }
}

/// Names of the files under `folder`, with `prefix` before each.
fn collect(folder: &Path, prefix: &str, into: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let name = format!("{prefix}{name}");
        // The files are links; folders are not.
        if path.is_dir() && !path.is_symlink() {
            collect(&path, &format!("{name}/"), into)?;
        } else {
            into.push(name);
        }
    }
    Ok(())
}

pub(super) fn not_cached(model: &HubModel, path: PathBuf) -> HubError {
    HubError::NotCached { repo: model.repo().to_owned(), revision: model.revision_name().to_owned(), path }
}

fn repo_folder(cache: &Cache, model: &HubModel) -> PathBuf {
    cache.path().join(repo_at(model, model.revision_name()).folder_name())
}

fn ref_path(cache: &Cache, model: &HubModel) -> PathBuf {
    repo_folder(cache, model).join("refs").join(model.revision_name())
}

/// Beside `blobs`, `refs` and `snapshots`, which other tools read.
fn list_path(cache: &Cache, model: &HubModel, commit: &str) -> PathBuf {
    repo_folder(cache, model).join("listings").join(format!("{commit}.json"))
}
