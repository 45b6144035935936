//! The machine's Python: it has pip, and it can read wheels.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::VERSION;
use crate::error::{Error, Result};
use crate::process;

/// Tells the version without the words around it, and where a torch is without loading it (that takes seconds).
const PROBE: &str = r#"
import importlib.metadata, importlib.util, json, os, sys
spec = importlib.util.find_spec("torch")
torch = os.path.dirname(spec.origin) if spec and spec.origin else None
print(json.dumps({"version": list(sys.version_info[:3]), "torch": torch}))
"#;

/// A Python that runs.
#[derive(Debug)]
pub struct Python {
    program: String,
    build_dir: PathBuf,
    version: [u32; 3],
    torch: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Probe {
    version: [u32; 3],
    torch: Option<PathBuf>,
}

/// The first of `python3` and `python` that is new enough.
pub fn find(build_dir: &Path) -> Result<Python> {
    let names = ["python3", "python"];
    let mut tried = Vec::new();
    for name in names {
        match probe(name, build_dir) {
            Ok(probe) if probe.version >= [3, 8, 0] => {
                return Ok(Python {
                    program: name.to_owned(),
                    build_dir: build_dir.to_path_buf(),
                    version: probe.version,
                    torch: probe.torch,
                });
            }
            Ok(probe) => tried.push(format!("{name} is {}", dotted(probe.version))),
            Err(problem) => tried.push(format!("{name}: {problem}")),
        }
    }
    Err(Error::NoPython { tried: tried.join("; "), version: VERSION })
}

fn probe(program: &str, build_dir: &Path) -> std::result::Result<Probe, String> {
    let output =
        process::python(program, build_dir).args(["-c", PROBE]).output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(last_line(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
}

fn dotted(version: [u32; 3]) -> String {
    version.map(|part| part.to_string()).join(".")
}

fn last_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().lines().last().unwrap_or("it said nothing").to_owned()
}

impl Python {
    /// Major, minor, patch.
    pub fn version(&self) -> [u32; 3] {
        self.version
    }

    /// Where its torch is, if it has one.
    pub fn torch_dir(&self) -> Option<PathBuf> {
        self.torch.clone()
    }

    /// Itself, if it has pip.
    pub fn with_pip(self) -> Result<Self> {
        let output = self
            .command()
            .args(["-m", "pip", "--version"])
            .output()
            .map_err(|source| Error::Spawn { program: self.program.clone(), source })?;
        if !output.status.success() {
            let detail = last_line(&output.stderr);
            return Err(Error::NoPip { python: self.program, detail, version: VERSION });
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let pip = text.split(" from ").next().unwrap_or("pip").trim();
        println!("set-up: {} {} with {pip}", self.program, dotted(self.version));
        Ok(self)
    }

    /// A command that runs it.
    pub fn command(&self) -> Command {
        process::python(&self.program, &self.build_dir)
    }

    /// Fails when less than `needed_gb` are free where `dir` is.
    pub fn check_space(&self, dir: &Path, needed_gb: f64) -> Result<()> {
        let script = "import shutil, sys; print(shutil.disk_usage(sys.argv[1]).free)";
        let output = process::capture(self.command().args(["-c", script]).arg(dir))?;
        let free_gb = output.trim().parse::<f64>().unwrap_or(f64::INFINITY) / 1e9;
        if free_gb < needed_gb {
            let detail = format!("{free_gb:.1} GB are free");
            return Err(Error::DiskFull { path: dir.to_path_buf(), needed_gb, detail });
        }
        Ok(())
    }

    /// Opens a shared library as a program would.
    ///
    /// # Errors
    /// What the system's loader says: it names the library that is missing.
    pub fn try_load(&self, library: &Path) -> std::result::Result<(), String> {
        let script = "import ctypes, sys; ctypes.CDLL(sys.argv[1])";
        let output = self.command().args(["-c", script]).arg(library).output().map_err(|e| e.to_string())?;
        if output.status.success() { Ok(()) } else { Err(last_line(&output.stderr)) }
    }
}
