//! Files beside a recording that say what is in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use musicot_core::files::read_json;
use musicot_core::train::{LyricLine, Section, Tags};
use musicot_lm::tags::Key;
use serde::de::DeserializeOwned;

use super::{Problem, parse_lrc};

const CAPTIONS: &str = ".txt";
const LRC: &str = ".lrc";
const LYRICS: &str = ".lyrics.json";
const SECTIONS: &str = ".sections.json";
const TAGS: &str = ".tags.json";

/// What a companion's name has after that of its recording.
pub(super) const SUFFIXES: [&str; 5] = [CAPTIONS, LRC, LYRICS, SECTIONS, TAGS];

/// Most that times may lie beyond the end of the recording, seconds (our choice: rounding of transcripts).
const TOLERANCE_SECS: f64 = 1.0;

/// The companion of a recording, if it is there.
fn beside(recording: &Path, suffix: &str) -> Option<PathBuf> {
    let name = recording.file_stem()?.to_string_lossy().into_owned();
    let path = recording.with_file_name(name + suffix);
    path.is_file().then_some(path)
}

fn text(path: &Path) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|e| Problem { path: path.to_owned(), reason: e.to_string() })
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, Problem> {
    read_json(path).map_err(|e| Problem { path: path.to_owned(), reason: e.to_string() })
}

/// Lines of the captions.
pub(super) fn captions(recording: &Path) -> Result<Vec<String>, Problem> {
    let Some(path) = beside(recording, CAPTIONS) else { return Ok(Vec::new()) };
    let text = text(&path)?;
    Ok(text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Words with their times, in order.
pub(super) fn lyrics(recording: &Path, secs: f64) -> Result<Vec<LyricLine>, Problem> {
    let (path, lines) = match (beside(recording, LRC), beside(recording, LYRICS)) {
        (None, None) => return Ok(Vec::new()),
        (Some(path), Some(other)) => {
            let reason = format!("there is {}, too; expected one transcript", other.display());
            return Err(Problem { path, reason });
        }
        (Some(path), None) => match parse_lrc(&text(&path)?) {
            Ok(lines) => (path, lines),
            Err(error) => return Err(Problem { path, reason: error.to_string() }),
        },
        (None, Some(path)) => {
            let lines: Vec<LyricLine> = json(&path)?;
            (path, lines)
        }
    };
    match lines.iter().enumerate().find_map(|(index, line)| wrong_line(index, line, &lines, secs)) {
        Some(reason) => Err(Problem { path, reason }),
        None => Ok(lines),
    }
}

/// What is wrong with a line of a transcript.
fn wrong_line(index: usize, line: &LyricLine, lines: &[LyricLine], secs: f64) -> Option<String> {
    let (start, number) = (line.start_secs, index + 1);
    if line.text.trim().is_empty() {
        return Some(format!("entry {number}: holds no text"));
    }
    if let Some(reason) = wrong_span(start, line.end_secs, secs) {
        return Some(format!("entry {number}: {reason}"));
    }
    let before = index.checked_sub(1).map_or(0.0, |last| lines[last].start_secs);
    (start < before).then(|| format!("entry {number}: starts at {start} s, before the entry above it"))
}

/// The form, in order.
pub(super) fn sections(recording: &Path, secs: f64) -> Result<Vec<Section>, Problem> {
    let Some(path) = beside(recording, SECTIONS) else { return Ok(Vec::new()) };
    let mut sections: Vec<Section> = json(&path)?;
    let mut before = 0.0;
    for (index, section) in sections.iter_mut().enumerate() {
        let number = index + 1;
        let problem =
            |reason: String| Problem { path: path.clone(), reason: format!("section {number}: {reason}") };
        if section.label.trim().is_empty() {
            return Err(problem("has no label".to_owned()));
        }
        if let Some(reason) = wrong_span(section.start_secs, Some(section.end_secs), secs) {
            return Err(problem(reason));
        }
        // A thousandth of a second: rounding of times, not an overlap.
        if section.start_secs < before - 1e-3 {
            return Err(problem(format!("starts at {} s, within the section above it", section.start_secs)));
        }
        section.end_secs = section.end_secs.min(secs);
        before = section.end_secs;
    }
    Ok(sections)
}

/// What is wrong with a span of time in a recording.
fn wrong_span(start: f64, end: Option<f64>, secs: f64) -> Option<String> {
    let last = end.unwrap_or(start);
    if !(start.is_finite() && start >= 0.0 && last.is_finite()) {
        return Some(format!("expected times of at least 0 s, got {start} and {last}"));
    }
    if end.is_some_and(|end| end <= start) {
        return Some(format!("expected an end after {start} s, got {last} s"));
    }
    let is_late = start >= secs || last > secs + TOLERANCE_SECS;
    is_late.then(|| format!("from {start} s to {last} s is beyond the recording's end at {secs:.3} s"))
}

/// Global properties.
pub(super) fn tags(recording: &Path) -> Result<Tags, Problem> {
    let Some(path) = beside(recording, TAGS) else { return Ok(Tags::default()) };
    let tags: Tags = json(&path)?;
    if let Some(tempo) = tags.tempo_bpm.filter(|tempo| !(tempo.is_finite() && *tempo > 0.0)) {
        return Err(Problem {
            path,
            reason: format!("`tempo_bpm`: expected a positive number, got {tempo}"),
        });
    }
    match tags.key.as_deref().map(Key::from_str) {
        Some(Err(error)) => Err(Problem { path, reason: error.to_string() }),
        _ => Ok(tags),
    }
}
