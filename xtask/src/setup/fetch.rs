//! The small libtorch: the CPU's part of PyPI's torch.
//!
//! PyPI's Linux wheel is a CUDA build. Its CPU library needs two small libraries of CUDA beside it (run time and profiling) and
//! nothing else of the several gigabytes that an installation brings.

use std::fs;
use std::time::Instant;

use super::install::{Staging, remove};
use super::pip::{self, Places};
use super::python::Python;
use super::requirements::{self, Requirement};
use super::state::library;
use super::wheel::{self, Wheel};
use super::{VERSION, progress};
use crate::error::{Error, Result};

/// What a CUDA build's CPU library links: NVIDIA's package and the library in it.
const CUDA_PARTS: [(&str, &str); 2] =
    [("nvidia-cuda-runtime", "libcudart.so"), ("nvidia-cuda-cupti", "libcupti.so")];

/// The wheel twice (pip's temporary file and its copy) and what is unpacked.
const NEEDED_GB: f64 = 1.7;

/// In place of a CUDA build's `libtorch.so`, which is empty and only pulls `libtorch_cuda.so` in. Linkers read it as a script.
const LINKER_SCRIPT: &str = "INPUT(-ltorch_cpu -lc10)\n";

/// Downloads and unpacks into the staging place.
pub fn cpu(staging: &Staging, python: &Python) -> Result<()> {
    println!(
        "set-up: no libtorch {VERSION} here yet: making one of PyPI's torch (about 540 MB to download, once)"
    );
    python.check_space(&staging.wheels(), NEEDED_GB)?;
    let torch = get(staging, python, &format!("torch=={VERSION}"))?;
    let names = torch.names()?;
    let selection = wheel::select(&names.lines().collect::<Vec<_>>());
    if selection.is_cuda_build {
        let metadata = requirements::parse(&torch.metadata()?);
        unpack(staging, torch, &selection.pairs)?;
        fs::write(staging.tree().join("lib").join(library("torch")), LINKER_SCRIPT)
            .map_err(Error::io("write libtorch into", staging.tree()))?;
        cuda_parts(staging, python, &metadata)?;
    } else {
        unpack(staging, torch, &selection.pairs)?;
    }
    link_openmp(staging)?;
    staging.write_version(VERSION)?;
    check_loads(staging, python)
}

fn get<'a>(staging: &Staging, python: &'a Python, requirement: &str) -> Result<Wheel<'a>> {
    let places = Places { into: &staging.wheels(), scratch: &staging.scratch() };
    Ok(Wheel { path: pip::download(python, requirement, &places)?, python })
}

/// Unpacks, then removes the wheel: space matters more than a second unpacking.
fn unpack(staging: &Staging, wheel: Wheel<'_>, pairs: &[wheel::Pair]) -> Result<()> {
    let started = Instant::now();
    wheel.unpack(pairs, &staging.tree())?;
    let name = wheel.path.file_name().unwrap_or_default().to_string_lossy();
    println!(
        "set-up: unpacked {} of its files in {:.1} s ({name})",
        pairs.len(),
        started.elapsed().as_secs_f64()
    );
    remove(&wheel.path)
}

fn cuda_parts(staging: &Staging, python: &Python, torch: &[Requirement]) -> Result<()> {
    // Newer torch names NVIDIA's parts through a package that has nothing but requirements; older torch names them itself.
    let (requirements, extras) = match requirements::find(torch, "cuda-toolkit", &[]) {
        Some(toolkit) => {
            let parts = get(staging, python, &toolkit.to_pip())?.metadata()?;
            (requirements::parse(&parts), toolkit.extras.as_slice())
        }
        None => (torch.to_vec(), [].as_slice()),
    };
    for (package, prefix) in CUDA_PARTS {
        let requirement =
            requirements::find(&requirements, package, extras).ok_or_else(|| Error::Malformed {
                what: format!("the metadata of torch {VERSION}"),
                detail: format!("it leads to no requirement on {package}"),
            })?;
        cuda_part(staging, get(staging, python, &requirement.to_pip())?, prefix)?;
    }
    Ok(())
}

fn cuda_part(staging: &Staging, wheel: Wheel<'_>, prefix: &str) -> Result<()> {
    let names = wheel.names()?;
    let pairs = wheel::select_library(&names.lines().collect::<Vec<_>>(), prefix);
    if pairs.is_empty() {
        let detail = format!("it has no {prefix}");
        return Err(Error::Malformed { what: wheel.path.display().to_string(), detail });
    }
    unpack(staging, wheel, &pairs)
}

/// torch-sys links `gomp`: GCC brings a library of that name, other compilers do not, and torch's will do.
fn link_openmp(staging: &Staging) -> Result<()> {
    let lib = staging.tree().join("lib");
    if lib.join("libgomp.so.1").is_file() {
        let link = lib.join("libgomp.so");
        std::os::unix::fs::symlink("libgomp.so.1", &link).map_err(Error::io("create the link", &link))?;
    }
    Ok(())
}

fn check_loads(staging: &Staging, python: &Python) -> Result<()> {
    let path = staging.tree().join("lib").join(library("torch_cpu"));
    python.try_load(&path).map_err(|detail| Error::DoesNotLoad {
        path: path.clone(),
        detail,
        remedy: format!(
            "install what is missing, or set LIBTORCH to a libtorch {VERSION} built for this system"
        ),
    })?;
    println!("set-up: it loads; {:.0} MB", progress::size(&staging.tree()) as f64 / 1e6);
    Ok(())
}
