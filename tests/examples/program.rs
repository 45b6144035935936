//! Running an example.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a program left behind.
pub struct Ran {
    pub success: bool,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { success: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// Where an example was built: `target/PROFILE/examples`, beside the folder of this test.
pub fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    let hint = "`cargo test` builds the examples, but `cargo test --test NAME` does not: run `cargo build --examples` first";
    assert!(path.is_file(), "{} is missing: {hint}", path.display());
    path
}

pub fn run(name: &str, args: &[&str]) -> Ran {
    Command::new(path(name)).args(args).output().unwrap().into()
}

/// Runs an example that must succeed.
pub fn good(name: &str, args: &[&str]) -> Ran {
    let ran = run(name, args);
    assert!(ran.success, "{name} {args:?}: {}{}", ran.out, ran.err);
    ran
}

/// Runs an example that must fail with one line that names the culprit.
pub fn bad(name: &str, args: &[&str], culprits: &[&str]) {
    refused(run(name, args), &format!("{name} {args:?}"), culprits);
}

/// Asserts that a program failed well.
pub fn refused(ran: Ran, what: &str, culprits: &[&str]) {
    assert!(!ran.success, "{what}: succeeded: {}", ran.out);
    let errors: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{what}: {}", ran.err);
    assert_eq!(ran.err.lines().last(), Some(errors[0]), "{what}: {}", ran.err);
    for forbidden in ["panicked", "RUST_BACKTRACE", "Exception raised from"] {
        assert!(!ran.err.contains(forbidden), "{what}: {}", ran.err);
    }
    for culprit in culprits {
        assert!(errors[0].contains(culprit), "{what}: `{culprit}` is not in: {}", errors[0]);
    }
}

/// Arguments with those that choose the bundle and one thread.
pub fn with_bundle<'a>(bundle: &'a Path, args: &[&'a str]) -> Vec<&'a str> {
    let model = ["--bundle", bundle.to_str().unwrap(), "--threads", "1"];
    args.iter().copied().chain(model).collect()
}

/// Names in a folder, sorted; none when it is not there.
pub fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
