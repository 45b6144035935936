//! Separate recordings of the parts of a piece, named by folder.

use std::fs;
use std::path::{Path, PathBuf};

use musicot_core::train::Stem;

use super::scan::{STEMS, is_audio};
use super::{Problem, listen, named};

/// Most that a stem may be longer or shorter than its recording, seconds (our choice: tails and encoder padding).
const TOLERANCE_SECS: f64 = 1.0;

/// Stems of a recording, sorted by name; none when it has no such folder.
pub(super) fn stems(recording: &Path, secs: f64, root: &Path) -> Result<Vec<Stem>, Vec<Problem>> {
    let (mut stems, mut problems) = (Vec::new(), Vec::new());
    for folder in folders(recording) {
        let files = match files(&folder) {
            Ok(files) => files,
            Err(error) => {
                problems.push(Problem { path: folder, reason: error.to_string() });
                continue;
            }
        };
        if files.is_empty() {
            problems.push(Problem { path: folder, reason: "holds no recording".to_owned() });
        }
        for path in files {
            match stem(&path, secs, root) {
                Ok(stem) => stems.push(stem),
                Err(problem) => problems.push(problem),
            }
        }
    }
    if problems.is_empty() { Ok(stems) } else { Err(problems) }
}

/// Those of the two possible folders that are there.
fn folders(recording: &Path) -> Vec<PathBuf> {
    let name = recording.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let parent = recording.parent().unwrap_or(Path::new(""));
    let both = [parent.join(format!("{name}.{STEMS}")), parent.join(STEMS).join(&name)];
    both.into_iter().filter(|folder| folder.is_dir()).collect()
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.collect::<std::io::Result<_>>()?;
    files.retain(|path| is_audio(path));
    files.sort();
    Ok(files)
}

fn stem(path: &Path, secs: f64, root: &Path) -> Result<Stem, Problem> {
    let problem = |reason: String| Problem { path: path.to_owned(), reason };
    let own = listen::duration_secs(path)?;
    if (own - secs).abs() > TOLERANCE_SECS {
        return Err(problem(format!("expected the {secs:.2} s of its recording, got {own:.2} s")));
    }
    let family = family(&path.file_stem().unwrap_or_default().to_string_lossy());
    if family.is_empty() {
        return Err(problem("expected a name such as piano.wav or drums-2.wav".to_owned()));
    }
    let audio = named(path, root).map_err(|error| problem(error.to_string()))?;
    Ok(Stem { family, program: None, audio })
}

/// The family in a name such as `Drums`, `drums-2` or `drums_02`.
fn family(name: &str) -> String {
    name.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_matches([' ', '-', '_']).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_at_the_end_is_not_part_of_the_family() {
        for name in ["drums", "Drums", "drums-2", "drums_02", "drums 3"] {
            assert_eq!(family(name), "drums", "{name}");
        }
        assert_eq!(family("Synth Lead"), "synth lead");
        assert_eq!(family("01"), "");
    }
}
