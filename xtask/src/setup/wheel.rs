//! What of a wheel is needed, and its unpacking.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::progress;
use super::python::Python;
use crate::error::{Error, Result};

const SCRIPT: &str = include_str!("wheel.py");

/// A file in a wheel and its place under `target/libtorch`.
pub type Pair = (String, String);

/// A downloaded wheel.
pub struct Wheel<'a> {
    pub path: PathBuf,
    pub python: &'a Python,
}

/// Which files of the torch wheel are wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct Selection {
    pub pairs: Vec<Pair>,
    /// Whether the wheel was built with CUDA: its CPU library then needs CUDA's run-time library beside it.
    pub is_cuda_build: bool,
}

/// Chooses the headers and what the CPU needs of the libraries.
pub fn select(names: &[&str]) -> Selection {
    let is_cuda_build = names.iter().any(|name| name.starts_with("torch/lib/libtorch_cuda."));
    let place = |name: &&str| -> Option<Pair> {
        let to = if name.ends_with('/') {
            return None;
        } else if let Some(header) = name.strip_prefix("torch/include/") {
            format!("include/{header}")
        } else if let Some(library) = name.strip_prefix("torch/lib/") {
            is_needed(library, is_cuda_build).then(|| format!("lib/{library}"))?
        } else {
            // Libraries that a repaired wheel brings (BLAS, OpenMP).
            format!("lib/{}", name.strip_prefix("torch.libs/")?)
        };
        Some(((*name).to_owned(), to))
    };
    Selection { pairs: names.iter().filter_map(place).collect(), is_cuda_build }
}

fn is_needed(library: &str, is_cuda_build: bool) -> bool {
    let is_shared = library.contains(".so") || library.contains(".dylib");
    // Those of Python, of process-shared tensors and of CUDA. A CUDA build's libtorch.so needs libtorch_cuda.so.
    let unwanted = ["python", "shm", "global_deps", "cuda", "nvrtc", "nvshmem"];
    let is_unwanted = unwanted.iter().any(|part| library.contains(part));
    let is_empty_puller = is_cuda_build && library.starts_with("libtorch.");
    is_shared && !library.contains('/') && !is_unwanted && !is_empty_puller
}

/// Libraries of a CUDA wheel whose names start with `prefix`, laid beside libtorch.
pub fn select_library(names: &[&str], prefix: &str) -> Vec<Pair> {
    let pair = |name: &&str| {
        let file = name.rsplit('/').next()?;
        file.starts_with(prefix).then(|| ((*name).to_owned(), format!("lib/{file}")))
    };
    names.iter().filter_map(pair).collect()
}

impl Wheel<'_> {
    /// Names of its files.
    pub fn names(&self) -> Result<String> {
        self.text("list")
    }

    /// Its `METADATA`.
    pub fn metadata(&self) -> Result<String> {
        self.text("metadata")
    }

    fn text(&self, action: &str) -> Result<String> {
        let output = self.command(action).output().map_err(self.io("read"))?;
        if !output.status.success() {
            return Err(self.malformed(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Unpacks the pairs under `target`.
    pub fn unpack(&self, pairs: &[Pair], target: &Path) -> Result<()> {
        let bar = progress::files(pairs.len() as u64);
        let mut child = self
            .command("unpack")
            .arg(target)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(self.io("unpack"))?;
        let list = serde_json::to_vec(pairs)
            .map_err(|e| Error::Malformed { what: "the list of files".into(), detail: e.to_string() })?;
        // Dropped at the end of the statement: the script reads to the end of its input. If it stopped early, its own words
        // tell more than a broken pipe.
        let sent = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(&list));
        if let Some(stdout) = child.stdout.take() {
            progress::follow_counts(stdout, &bar);
        }
        let output = child.wait_with_output().map_err(self.io("unpack"))?;
        bar.finish_and_clear();
        if !output.status.success() {
            return Err(self.malformed(&output.stderr));
        }
        sent.map_err(self.io("unpack"))
    }

    fn command(&self, action: &str) -> Command {
        let mut command = self.python.command();
        command.args(["-c", SCRIPT, action]).arg(&self.path);
        command
    }

    fn malformed(&self, stderr: &[u8]) -> Error {
        let detail = String::from_utf8_lossy(stderr).trim().to_owned();
        if detail.contains("No space left") {
            return Error::DiskFull { path: self.path.clone(), needed_gb: 1.0, detail };
        }
        Error::Malformed { what: self.path.display().to_string(), detail }
    }

    fn io(&self, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error + use<> {
        Error::io(doing, self.path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: [&str; 9] = [
        "torch/__init__.py",
        "torch/include/",
        "torch/include/torch/csrc/api/include/torch/torch.h",
        "torch/lib/libtorch.so",
        "torch/lib/libtorch_cpu.so",
        "torch/lib/libc10.so",
        "torch/lib/libgomp.so.1",
        "torch/lib/libtorch_python.so",
        "torch/lib/libshm/libshm.so",
    ];

    fn libraries(selection: &Selection) -> Vec<&str> {
        selection.pairs.iter().filter_map(|(_, to)| to.strip_prefix("lib/")).collect()
    }

    #[test]
    fn of_a_cuda_build_the_cpu_part_is_taken() {
        let mut names = COMMON.to_vec();
        names.extend([
            "torch/lib/libtorch_cuda.so",
            "torch/lib/libc10_cuda.so",
            "torch/lib/libtorch_cuda_linalg.so",
        ]);
        names.extend(["torch/lib/libcaffe2_nvrtc.so", "torch/lib/libtorch_nvshmem.so"]);
        let selection = select(&names);
        assert!(selection.is_cuda_build);
        assert_eq!(libraries(&selection), ["libtorch_cpu.so", "libc10.so", "libgomp.so.1"]);
        assert!(selection.pairs.iter().any(|(_, to)| to == "include/torch/csrc/api/include/torch/torch.h"));
    }

    #[test]
    fn of_a_cpu_build_libtorch_itself_and_bundled_libraries_too() {
        let mut names = COMMON.to_vec();
        names.push("torch.libs/libopenblas-1234.so.0");
        let selection = select(&names);
        assert!(!selection.is_cuda_build);
        let expected =
            ["libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libopenblas-1234.so.0"];
        assert_eq!(libraries(&selection), expected);
    }

    #[test]
    fn cuda_libraries_lose_their_folders() {
        let names = [
            "nvidia/cu13/include/cupti.h",
            "nvidia/cu13/lib/libcupti.so.13",
            "nvidia/cu13/lib/libnvperf_host.so",
        ];
        let expected = vec![("nvidia/cu13/lib/libcupti.so.13".to_owned(), "lib/libcupti.so.13".to_owned())];
        assert_eq!(select_library(&names, "libcupti.so"), expected);
    }
}
