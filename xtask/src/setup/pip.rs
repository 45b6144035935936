//! pip, with its progress shown and its failures explained.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::python::Python;
use super::{VERSION, progress};
use crate::error::{Error, Result};

/// The wheels are read, not imported, so any Python's will do: a fixed one lets a Python that is older or newer than those that
/// torch supports download it.
const WHEEL_PYTHON: &str = "3.12";

/// How the growing files are measured.
type Measure = fn(&Path) -> u64;

/// Where pip may write.
pub struct Places<'a> {
    pub into: &'a Path,
    pub scratch: &'a Path,
}

/// Downloads the one wheel that `requirement` names, without what it depends on.
pub fn download(python: &Python, requirement: &str, places: &Places<'_>) -> Result<PathBuf> {
    let mut command = pip(python, "download", places);
    command.args(["--no-deps", "--dest"]).arg(places.into).arg(requirement);
    watched(command, requirement, places.scratch, progress::largest_file)?;
    let name = requirement.split(['=', '<', '>', '~', '!']).next().unwrap_or(requirement).replace('-', "_");
    find_wheel(places.into, &name)
}

/// Installs `requirement` and all that it depends on into a plain folder: this needs no `venv` module, and a system whose own Python
/// environment is closed to pip ("externally managed") allows it.
pub fn install(python: &Python, requirement: &str, places: &Places<'_>) -> Result<()> {
    let mut command = pip(python, "install", places);
    command.arg("--target").arg(places.into).arg(requirement);
    watched(command, requirement, places.scratch, progress::size)
}

fn pip(python: &Python, action: &str, places: &Places<'_>) -> Command {
    let mut command = python.command();
    command
        .args(["-m", "pip", action, "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
        .args(["--only-binary=:all:", "--python-version", WHEEL_PYTHON])
        .env("TMPDIR", places.scratch);
    command
}

fn find_wheel(dir: &Path, name: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(dir).map_err(Error::io("read", dir))?;
    let is_it = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        file.ends_with(".whl") && file.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
    };
    entries.flatten().map(|entry| entry.path()).find(is_it).ok_or_else(|| Error::Malformed {
        what: "pip's download".into(),
        detail: format!("no wheel of {name} is in {}", dir.display()),
    })
}

fn watched(mut command: Command, what: &str, growing: &Path, measure: Measure) -> Result<()> {
    let started = Instant::now();
    println!("set-up: pip: {what}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Spawn { program: "python3 -m pip".into(), source })?;
    let (status, log) = follow(&mut child, growing, measure)?;
    if !status {
        return Err(explain(what, &log, growing));
    }
    println!("set-up: pip: {what}: done in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Reads pip's words and watches its files until it ends: whether it succeeded, and what it said.
fn follow(child: &mut Child, growing: &Path, measure: Measure) -> Result<(bool, String)> {
    let mut bar = progress::Download::new();
    let total = AtomicU64::new(0);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let result = std::thread::scope(|scope| {
        let said = scope.spawn(|| read_words(stdout, &total));
        let complained = scope.spawn(|| read_words(stderr, &total));
        let status = loop {
            match child.try_wait() {
                Ok(None) => bar.show(measure(growing), total.load(Ordering::Relaxed)),
                Ok(Some(status)) => break Ok(status.success()),
                Err(source) => break Err(Error::Spawn { program: "pip".into(), source }),
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        let log = [said, complained].map(|reader| reader.join().unwrap_or_default()).concat();
        status.map(|status| (status, log))
    });
    bar.finish();
    result
}

fn read_words(pipe: Option<impl Read>, total: &AtomicU64) -> String {
    let mut log = String::new();
    let Some(pipe) = pipe else { return log };
    for line in BufReader::new(pipe).lines().map_while(std::result::Result::ok) {
        total.fetch_add(announced_bytes(&line), Ordering::Relaxed);
        log.push_str(&line);
        log.push('\n');
    }
    log
}

/// The size in `Downloading torch-2.11.0-...whl (530.6 MB)`; 0 when the line tells none.
fn announced_bytes(line: &str) -> u64 {
    let parse = || {
        let inside = line.trim().strip_prefix("Downloading ")?.rsplit_once('(')?.1.strip_suffix(')')?;
        let (number, unit) = inside.split_once(' ')?;
        let scale = match unit {
            "bytes" => 1.0,
            "kB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            _ => return None,
        };
        let bytes = number.parse::<f64>().ok()? * scale;
        Some(bytes as u64)
    };
    parse().unwrap_or(0)
}

/// Turns pip's words into a cause.
fn explain(what: &str, log: &str, dir: &Path) -> Error {
    const NETWORK: [&str; 9] = [
        "NewConnectionError",
        "ConnectTimeout",
        "Connection refused",
        "Connection reset",
        "Temporary failure in name resolution",
        "Name or service not known",
        "ProxyError",
        "ReadTimeout",
        "SSLError",
    ];
    let what = what.to_owned();
    let tail: Vec<&str> = log.lines().rev().filter(|line| !line.trim().is_empty()).take(4).collect();
    let detail: String = tail.iter().rev().map(|line| format!("  | {line}\n")).collect();
    let detail = detail.trim_end().to_owned();
    if log.contains("No space left on device") || log.contains("Disk quota exceeded") {
        Error::DiskFull { path: dir.to_path_buf(), needed_gb: 2.0, detail: "pip could not write".into() }
    } else if NETWORK.iter().any(|word| log.contains(word)) {
        Error::Network { what, detail, version: VERSION }
    } else if log.contains("No matching distribution") || log.contains("Could not find a version") {
        Error::NoPackage { what, detail, version: VERSION }
    } else {
        Error::Pip { what, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_every_unit() {
        assert_eq!(announced_bytes("  Downloading torch-2.11.0-cp312-x.whl (530.6 MB)"), 530_600_000);
        assert_eq!(announced_bytes("  Downloading cuda_toolkit-13.0.2-py2.py3-none-any.whl (2.4 kB)"), 2_400);
        assert_eq!(announced_bytes("Downloading a.whl (12 bytes)"), 12);
        assert_eq!(announced_bytes("Downloading a.whl.metadata"), 0);
        assert_eq!(announced_bytes("Saved ./a.whl (1 MB)"), 0);
    }

    #[test]
    fn causes_are_told_apart() {
        let dir = Path::new("/t");
        let offline = "WARNING: Retrying: NewConnectionError(...)\nERROR: No matching distribution found for torch==2.11.0\n";
        assert!(matches!(explain("torch", offline, dir), Error::Network { .. }));
        let absent = "ERROR: Could not find a version that satisfies the requirement\nERROR: No matching distribution found\n";
        assert!(matches!(explain("torch", absent, dir), Error::NoPackage { .. }));
        let full = "ERROR: Could not install: [Errno 28] No space left on device\n";
        assert!(matches!(explain("torch", full, dir), Error::DiskFull { .. }));
        let Error::Pip { detail, .. } = explain("torch", "first\n\nlast word\n", dir) else {
            panic!("another cause")
        };
        assert!(detail.contains("last word"));
    }

    #[test]
    fn the_wheel_is_found_by_its_whole_name() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["torch_extra-1-py3-none-any.whl", "torch-2.11.0-cp312-none.whl"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        assert!(find_wheel(dir.path(), "torch").unwrap().ends_with("torch-2.11.0-cp312-none.whl"));
        assert!(find_wheel(dir.path(), "nvidia_cuda_cupti").is_err());
    }
}
