//! `cargo xtask demo`: from nothing to a song.

use std::path::{Path, PathBuf};

use crate::args;
use crate::error::{Error, Result};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

/// The flags of the example `generate`, each with a value.
pub const FLAGS: [&str; 10] = [
    "--prompt",
    "--seconds",
    "--seed",
    "--reference",
    "--tempo",
    "--key",
    "--tags",
    "--lyrics",
    "--bundle",
    "--out",
];

/// What the example makes.
const MADE: [&str; 5] = ["song.wav", "plan.json", "plan.svg", "plan.png", "manifest.json"];

/// What is played when nobody says what.
const PROMPT: &str = "calm jazz with piano and bass at 90 bpm";

/// Flags that say what the music is to be.
const SUBJECTS: [&str; 3] = ["--prompt", "--tags", "--reference"];

const NO_MODEL: &str = "models/mini, the small trained model, is not in this tree (published packages leave it out). Pass a bundle of your own with \
    --bundle DIR, or train the small one: cargo xtask train-mini (see models/README.md).";

/// `cargo xtask demo [flags] [-- flags of generate]`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let (ours, others) = args::split_at_dashes(given);
    let named = args::valued_flags("demo", ours, &FLAGS)?;
    let mini = ws.root.join("models/mini");
    // Known at once: nobody should wait for a build to be told.
    if !named.iter().any(|name| name == "--bundle") && !mini.join("bundle.json").is_file() {
        return Err(Error::Check(NO_MODEL.into()));
    }
    setup::ensure(ws, None)?;
    println!("\ndemo: building the example `generate`");
    build_examples(ws, "musicot", &["generate"], &[])?;

    let out = value_of(ours, "--out").map_or_else(|| ws.root.join("out/demo"), PathBuf::from);
    // Not `cargo run`: paths that the user typed are relative to the folder that the user is in.
    let mut command = std::process::Command::new(ws.example("generate"));
    process::use_libtorch(&mut command, ws);
    command.args(ours);
    for (flag, path) in [("--out", &out), ("--bundle", &mini)] {
        if !named.iter().any(|name| name == flag) {
            command.arg(flag).arg(path);
        }
    }
    if needs_prompt(&named, others) {
        command.args(["--prompt", PROMPT]);
    }
    command.args(others);
    println!("\ndemo: {}", process::shown(&command));
    let mut factor = None;
    let status = process::stream(&mut command, |line| {
        if line.to_ascii_lowercase().contains("real-time factor") {
            factor = Some(line.trim().to_owned());
        }
    })?;
    process::check(&command, status)?;
    report(ws, &out, factor.as_deref())
}

/// Whether nothing given says what the music is to be; what follows `--` may be anything.
fn needs_prompt(named: &[String], others: &[String]) -> bool {
    let says =
        |word: &String| SUBJECTS.iter().any(|flag| word == flag || word.starts_with(&format!("{flag}=")));
    !named.iter().chain(others).any(says)
}

/// Builds examples of a package in the release profile, with cargo's own progress.
pub fn build_examples(ws: &Workspace, package: &str, names: &[&str], features: &[&str]) -> Result<()> {
    let mut command = process::cargo(ws);
    command.args(["build", "--release", "--package", package]);
    for name in names {
        command.args(["--example", name]);
    }
    if !features.is_empty() {
        command.args(["--features", &features.join(",")]);
    }
    process::run(&mut command)
}

fn report(ws: &Workspace, out: &Path, factor: Option<&str>) -> Result<()> {
    println!("\ndemo: made");
    for name in MADE {
        let path = out.join(name);
        let bytes = std::fs::metadata(&path).map_err(Error::io("find", &path))?.len();
        if bytes == 0 {
            return Err(Error::Check(format!("{} is empty", path.display())));
        }
        println!("  {} ({:.1} kB)", ws.short(&path), bytes as f64 / 1e3);
    }
    println!("{}", factor.unwrap_or("(the example printed no real-time factor)"));
    Ok(())
}

/// The last value given to `flag`.
fn value_of<'a>(args: &'a [String], flag: &str) -> Option<&'a str> {
    let mut found = None;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                if name == flag {
                    found = Some(value);
                }
            }
            // Every flag has a value: whatever comes next is it, even if it looks like a flag.
            _ => {
                let value = rest.next().map(String::as_str);
                if arg == flag {
                    found = value;
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_out_folder_is_read_in_both_forms() {
        let args = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(value_of(&args(&["--seed", "1", "--out", "x"]), "--out"), Some("x"));
        assert_eq!(value_of(&args(&["--out=y=z"]), "--out"), Some("y=z"));
        assert_eq!(value_of(&args(&["--prompt", "--out", "--seed", "1"]), "--out"), None);
    }

    #[test]
    fn only_a_demo_of_nothing_needs_a_prompt() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert!(needs_prompt(&words(&["--seed", "--tempo"]), &words(&["--threads", "1"])));
        assert!(!needs_prompt(&words(&["--reference"]), &[]));
        assert!(!needs_prompt(&[], &words(&["--prompt=x"])));
    }

    #[test]
    fn what_is_missing_or_empty_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let ws = Workspace { root: dir.path().to_path_buf(), build_dir: dir.path().join("target") };
        assert!(report(&ws, dir.path(), None).unwrap_err().to_string().contains("song.wav"));
        for name in MADE {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        assert!(report(&ws, dir.path(), Some("real-time factor 0.5")).is_ok());
        std::fs::write(dir.path().join("plan.svg"), "").unwrap();
        assert!(report(&ws, dir.path(), None).unwrap_err().to_string().contains("plan.svg"));
    }
}
