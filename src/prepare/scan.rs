//! What lies in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use musicot_core::Error as CoreError;

use super::Problem;
use super::companions::SUFFIXES;
use crate::Result;

/// Endings of files that are taken for recordings.
const AUDIO: [&str; 8] = ["wav", "flac", "ogg", "oga", "mp3", "mp4", "m4a", "aac"];

/// Ending of a folder that holds a recording's stems, and name of a folder that holds such folders.
pub(super) const STEMS: &str = "stems";

/// Files of a folder, sorted.
#[derive(Debug, Default)]
pub(super) struct Found {
    folder: PathBuf,
    pub recordings: Vec<PathBuf>,
    /// Companions and stem folders, with the name of the recording that they belong to.
    others: Vec<(PathBuf, PathBuf)>,
}

/// Reads a folder and its folders. Names that begin with a dot are passed over, and links to folders are not followed.
pub(super) fn scan(folder: &Path) -> Result<Found> {
    let mut found = Found { folder: folder.to_owned(), ..Found::default() };
    walk(folder, &mut found)?;
    found.recordings.sort();
    found.others.sort();
    Ok(found)
}

fn walk(folder: &Path, found: &mut Found) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(CoreError::io(folder))? {
        let entry = entry.map_err(CoreError::io(folder))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().map_err(CoreError::io(&path))?.is_dir() {
            match name.strip_suffix(&format!(".{STEMS}")) {
                Some(recording) => found.others.push((path, folder.join(recording))),
                None if name == STEMS => stem_folders(folder, &path, found)?,
                None => walk(&path, found)?,
            }
        } else if is_audio(&path) {
            found.recordings.push(path);
        } else if let Some(recording) = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)) {
            found.others.push((path, folder.join(recording)));
        }
    }
    Ok(())
}

/// The folders in `stems/`, one per recording beside it.
fn stem_folders(parent: &Path, stems: &Path, found: &mut Found) -> Result<()> {
    for entry in fs::read_dir(stems).map_err(CoreError::io(stems))? {
        let path = entry.map_err(CoreError::io(stems))?.path();
        if let (true, Some(name)) = (path.is_dir(), path.file_name()) {
            let recording = parent.join(name);
            found.others.push((path, recording));
        }
    }
    Ok(())
}

/// Whether a file's name says that it is a recording.
pub(super) fn is_audio(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    path.is_file() && ending.is_some_and(|ending| AUDIO.contains(&ending.as_str()))
}

/// Name of a recording: its path within the folder, without the ending.
pub(super) fn id(folder: &Path, path: &Path) -> String {
    let within = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    within.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

impl Found {
    /// What belongs to no recording.
    pub fn unused(&self) -> Vec<PathBuf> {
        let names: BTreeSet<PathBuf> = self.recordings.iter().map(|path| path.with_extension("")).collect();
        self.others
            .iter()
            .filter(|(_, recording)| !names.contains(recording))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// Names that more than one recording has.
    pub fn repeated_ids(&self) -> BTreeSet<String> {
        self.by_id().into_iter().filter(|(_, paths)| paths.len() > 1).map(|(id, _)| id).collect()
    }

    /// A problem for each recording but the first of a name.
    pub fn repeated(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for paths in self.by_id().into_values() {
            let reason = format!("has the same name as {}", paths[0].display());
            problems.extend(
                paths[1..].iter().map(|path| Problem { path: path.to_path_buf(), reason: reason.clone() }),
            );
        }
        problems
    }

    fn by_id(&self) -> BTreeMap<String, Vec<&PathBuf>> {
        let mut by_id: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
        for path in &self.recordings {
            by_id.entry(id(&self.folder, path)).or_default().push(path);
        }
        by_id
    }
}
