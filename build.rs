//! Keeps libtorch's CUDA part linked when there is one.
//!
//! Nothing refers to `libtorch_cuda` by name: it registers itself when it is loaded. A linker that drops unneeded libraries, as Rust
//! asks it to, would drop it, and no GPU would be seen. This holds for the examples, benches and tests of this package; a program of
//! your own that is to run on a GPU needs the same lines in its own `build.rs`.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let Ok(libtorch) = std::env::var("LIBTORCH") else { return };
    let folder = Path::new(&libtorch).join("lib");
    if !folder.is_dir() {
        return;
    }
    // The folder and not the library: cargo would take a file that is not there for one that changes all the time.
    println!("cargo::rerun-if-changed={}", folder.display());
    let library = folder.join("libtorch_cuda.so");
    if library.is_file() {
        println!("cargo::rustc-link-arg=-Wl,--push-state,--no-as-needed,{},--pop-state", library.display());
    }
}
