//! The full libtorch with CUDA: an installation of PyPI's torch in a folder of its own, linked.

use std::fs;
use std::path::PathBuf;

use super::find::Source;
use super::install::{Staging, remove};
use super::pip::{self, Places};
use super::python::Python;
use super::state::inspect;
use super::{VERSION, Variant, fits};
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// About 3 GB of wheels while 5 GB are being installed.
const NEEDED_GB: f64 = 9.0;

/// Where the installation stays. Its libraries find NVIDIA's relative to themselves, so it cannot be thinned out.
fn home(ws: &Workspace) -> PathBuf {
    ws.root.join("target/torch-cuda")
}

/// Installs, unless an earlier set-up did, and links.
pub fn install(ws: &Workspace, staging: &Staging, python: &Python) -> Result<()> {
    let home = home(ws);
    let is_there = |found: &super::state::Libtorch| fits(found, Some(Variant::Cuda));
    if !inspect(&home.join("torch")).is_ok_and(|found| is_there(&found)) {
        make(ws, staging, python)?;
    }
    let dir = home.join("torch");
    let found =
        inspect(&dir).map_err(|detail| Error::Malformed { what: "the installed torch".into(), detail })?;
    if !is_there(&found) {
        let detail = "PyPI's torch for this machine has no CUDA".into();
        return Err(Error::NoPackage {
            what: format!("torch=={VERSION} with CUDA"),
            detail,
            version: VERSION,
        });
    }
    for name in ["torch_cpu", "torch_cuda"] {
        let path = dir.join("lib").join(super::state::library(name));
        python.try_load(&path).map_err(|detail| Error::DoesNotLoad {
            path: path.clone(),
            detail,
            remedy: format!("remove {} and run this again", ws.short(&home)),
        })?;
    }
    staging.link(&Source { dir, found })
}

fn make(ws: &Workspace, staging: &Staging, python: &Python) -> Result<()> {
    println!("set-up: installing torch {VERSION} with CUDA (about 3 GB to download, 5 GB on disk)");
    python.check_space(&staging.wheels(), NEEDED_GB)?;
    let site = staging.wheels().join("site");
    let places = Places { into: &site, scratch: &staging.scratch() };
    pip::install(python, &format!("torch=={VERSION}"), &places)?;
    remove(&home(ws))?;
    fs::rename(&site, home(ws)).map_err(Error::io("put in place", home(ws)))
}
