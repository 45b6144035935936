//! `cargo xtask experiments`: runs the experiments of the paper and puts their reports together.

use std::path::Path;

use crate::args;
use crate::demo::build_examples;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

/// All experiments, in the order of the document.
const NAMES: [&str; 10] = [
    "rvq",
    "analyzability",
    "sampling",
    "plan",
    "robustness",
    "order",
    "reference",
    "listening",
    "obedience",
    "diffusion",
];

/// Where the example writes to.
const OUT: &str = "out/experiments";

/// Where the pictures of the document are kept.
const PICTURES: &str = "docs/experiments";

const DOCUMENT: Document = Document {
    file: "EXPERIMENTS.md",
    head: "\
# Experiments

What the paper (MusiCoT, arXiv 2503.19611) claims, measured on the small model of this repository. Every section is written by one command, which it names
with machine and date; `cargo xtask experiments` runs all of them and writes this file. Intervals are 95 % bootstrap intervals. Figures that did not come out
as hoped stay in.
",
};

/// `cargo xtask experiments [--compose] [NAME...] [-- flags of the example]`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let (ours, flags) = args::split_at_dashes(given);
    let only_compose = ours.iter().any(|word| word == "--compose");
    let names = chosen(ours)?;
    if !only_compose {
        setup::ensure(ws, None)?;
        println!("\nexperiments: building the example `experiments`");
        build_examples(ws, "musicot", &["experiments"], &["train"])?;
        for name in names {
            run(ws, name, flags)?;
        }
    }
    let count = compose(&ws.root)?;
    println!("\nexperiments: {} with {count} sections", DOCUMENT.file);
    Ok(())
}

/// The experiments that are named, all where none is.
fn chosen(words: &[String]) -> Result<Vec<&'static str>> {
    let named: Vec<&String> = words.iter().filter(|word| *word != "--compose").collect();
    let find = |word: &String| {
        NAMES.into_iter().find(|name| name == word).ok_or_else(|| {
            Error::Usage(format!("there is no experiment `{word}`. There are: {}.", NAMES.join(", ")))
        })
    };
    if named.is_empty() { Ok(NAMES.to_vec()) } else { named.into_iter().map(find).collect() }
}

fn run(ws: &Workspace, name: &str, flags: &[String]) -> Result<()> {
    let mut command = std::process::Command::new(ws.example("experiments"));
    process::use_libtorch(&mut command, ws);
    command.current_dir(&ws.root).arg(name).args(flags);
    println!("\nexperiments: {}", process::shown(&command));
    process::run(&mut command)
}

/// Puts the reports that are there in the place of their sections, and takes their pictures along; sections without a report stay. Returns how many
/// sections there are.
fn compose(root: &Path) -> Result<usize> {
    let section = |(number, name): (usize, &str)| Ok((format!("## {number}. "), reported(root, name)?));
    let sections = (1..).zip(NAMES).map(section).collect::<Result<Vec<_>>>()?;
    if sections.iter().all(|(_, new)| new.is_none()) {
        return Err(Error::Check(format!("there is no report in {OUT}")));
    }
    DOCUMENT.write(root, &sections)
}

/// The section that the report of an experiment is, where there is one; its pictures are copied to where it links them.
fn reported(root: &Path, name: &str) -> Result<Option<String>> {
    let (out, pictures) = (root.join(OUT), root.join(PICTURES));
    let report = out.join(format!("{name}.md"));
    if !report.is_file() {
        return Ok(None);
    }
    let section = std::fs::read_to_string(&report).map_err(Error::io("read", &report))?;
    for picture in pictures_of(&section) {
        std::fs::create_dir_all(&pictures).map_err(Error::io("make", &pictures))?;
        let from = out.join(&picture);
        std::fs::copy(&from, pictures.join(&picture)).map_err(Error::io("copy", &from))?;
    }
    Ok(Some(linked(&section)))
}

/// Files of the lines `![caption](file)`.
fn pictures_of(section: &str) -> Vec<String> {
    let of = |line: &str| Some(line.strip_prefix("![")?.split_once("](")?.1.strip_suffix(')')?.to_owned());
    section.lines().filter_map(of).collect()
}

/// The section with its pictures at their new place.
fn linked(section: &str) -> String {
    let line = |line: &str| match line.starts_with("![") {
        true => line.replacen("](", &format!("]({PICTURES}/"), 1) + "\n",
        false => format!("{line}\n"),
    };
    section.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experiments_are_chosen_by_name() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(chosen(&words(&["--compose"])).unwrap(), NAMES);
        assert_eq!(chosen(&words(&["plan", "rvq"])).unwrap(), ["plan", "rvq"]);
        assert!(chosen(&words(&["plans"])).unwrap_err().to_string().contains("analyzability"));
    }

    #[test]
    fn reports_become_a_document_with_pictures() {
        let dir = tempfile::tempdir().unwrap();
        assert!(compose(dir.path()).unwrap_err().to_string().contains(OUT));
        let out = dir.path().join(OUT);
        std::fs::create_dir_all(&out).unwrap();
        std::fs::write(out.join("rvq.md"), "## 1. Thoughts\n\n![a [map]](rvq.svg)\n").unwrap();
        std::fs::write(out.join("plan.md"), "## 4. Plan\n").unwrap();
        std::fs::write(out.join("rvq.svg"), "<svg/>").unwrap();
        assert_eq!(compose(dir.path()).unwrap(), 2);
        let text = std::fs::read_to_string(dir.path().join(DOCUMENT.file)).unwrap();
        assert!(
            text.contains("![a [map]](docs/experiments/rvq.svg)") && text.ends_with("\n## 4. Plan\n"),
            "{text}"
        );
        assert!(dir.path().join("docs/experiments/rvq.svg").is_file());
    }
}
