//! Which model, and which of its files.

use crate::{Error, Result};

/// A published model: repository, revision, and the files wanted of it.
///
/// ```
/// use musicot_core::hub::HubModel;
/// let vae = HubModel::new("stabilityai/stable-audio-open-1.0").revision("main").folder("vae").folder("transformer");
/// assert_eq!(vae.repo(), "stabilityai/stable-audio-open-1.0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    repo: String,
    revision: String,
    pub(super) parts: Vec<Part>,
}

/// Something wanted of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// The checkpoint in a folder.
    Folder(String),
    /// One file.
    File(String),
}

impl HubModel {
    /// A repository such as `laion/larger_clap_music`: the checkpoint at its top level, at the branch `main`.
    pub fn new(repo: impl Into<String>) -> Self {
        Self { repo: repo.into(), revision: "main".to_owned(), parts: Vec::new() }
    }

    /// A branch, a tag, or a whole commit (40 hexadecimal digits), which pins the files.
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = revision.into();
        self
    }

    /// Asks for the checkpoint in this folder, such as `vae`, in place of the top level's. May be given several times.
    pub fn folder(mut self, name: impl Into<String>) -> Self {
        self.parts.push(Part::Folder(name.into()));
        self
    }

    /// Asks for this file, such as `music_audioset_epoch_15_esc_90.14.pt`, in place of the top level's checkpoint. May be given several
    /// times.
    pub fn file(mut self, name: impl Into<String>) -> Self {
        self.parts.push(Part::File(name.into()));
        self
    }

    /// The repository.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The revision asked for.
    pub fn revision_name(&self) -> &str {
        &self.revision
    }

    /// Whether the revision is a commit, which never changes.
    pub(super) fn is_pinned(&self) -> bool {
        self.revision.len() == 40 && is_commit(&self.revision)
    }

    /// Names become parts of paths and addresses.
    pub(super) fn validate(&self) -> Result<()> {
        let repo_segments = self.repo.split('/').count();
        if !is_path(&self.repo) || repo_segments > 2 || self.repo.contains("--") || self.repo.len() > 96 {
            let reason = format!("expected `owner/name`, got `{}`", self.repo);
            return Err(Error::input("repository", reason));
        }
        if !is_path(&self.revision) || self.revision.len() > 255 {
            let reason = format!("expected a branch, tag or commit, got `{}`", self.revision);
            return Err(Error::input("revision", reason));
        }
        for part in &self.parts {
            let (Part::Folder(name) | Part::File(name)) = part;
            if !is_path(name) {
                let reason = format!(
                    "expected a relative path of letters, digits and `._+=-`, without `..`, got `{name}`"
                );
                return Err(Error::input("file of a repository", reason));
            }
        }
        Ok(())
    }
}

/// Whether this is a path below a folder that needs no escaping in an address: no empty segment, none that starts with a full stop (which
/// rules out `..`) and no drive.
pub(super) fn is_path(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+=-".contains(c);
    name.split('/').all(|segment| {
        !segment.is_empty() && !segment.starts_with(['.', '-']) && segment.chars().all(is_plain)
    })
}

/// Whether this can be a commit's id.
pub(super) fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        assert!(HubModel::new("gpt2").validate().is_ok());
        let model = HubModel::new("laion/larger_clap_music");
        assert!(model.clone().revision("refs/pr/1").file("a/b_c-1.0.pt").folder("vae").validate().is_ok());
        for repo in ["", "/a", "a/", "a/b/c", "../a", "a/..", "a//b", "a\\b", "a--b/c", "a b", "é", "C:/a"] {
            assert!(HubModel::new(repo).validate().unwrap_err().to_string().contains(repo), "{repo}");
        }
        for revision in ["", "..", "a/../b", "/main", "main/", ".git", "a?b", "a%2e"] {
            assert!(model.clone().revision(revision).validate().is_err(), "{revision}");
        }
        for file in ["/etc/passwd", "../x", "a/../../x", "", "a#b", "a b"] {
            assert!(model.clone().file(file).validate().is_err(), "{file}");
            assert!(model.clone().folder(file).validate().is_err(), "{file}");
        }
    }

    #[test]
    fn only_a_whole_commit_is_pinned() {
        let model = HubModel::new("a/b");
        assert!(model.clone().revision("0123456789abcdef0123456789abcdef01234567").is_pinned());
        assert!(!model.clone().revision("0123456").is_pinned());
        assert!(!model.is_pinned());
    }
}
