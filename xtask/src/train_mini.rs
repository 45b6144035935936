//! `cargo xtask train-mini`: every step that makes `models/mini`, from `models/recipe/recipe.json`.
//!
//! The steps are data: this file runs them in order and skips those whose result is there. What a step does, and how it goes on
//! after an interruption, is its program's own affair.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::workspace::Workspace;
use crate::{args, process, setup};

const RECIPE: &str = "models/recipe/recipe.json";

/// The corpus generator's package and program.
const CORPUS: &str = "musicot-corpus";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    steps: Vec<Step>,
}

/// One program run in the workspace's root.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// What `--from` and `--only` call it.
    name: String,
    /// `musicot-corpus`, or the name of one of the facade's examples.
    program: String,
    #[serde(default)]
    args: Vec<String>,
    /// A file that exists once the step is done; without one the step is run each time.
    #[serde(default)]
    done: Option<PathBuf>,
}

/// `cargo xtask train-mini [--list] [--from STEP] [--only STEP] [--recipe FILE]`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let is_list = given.iter().any(|arg| arg == "--list");
    let valued: Vec<String> = given.iter().filter(|arg| *arg != "--list").cloned().collect();
    let (recipe, valued) = recipe_of(&valued)?;
    let steps = choose(&read_recipe(&ws.root.join(recipe))?.steps, &valued)?;
    if is_list {
        list(ws, &steps);
        return Ok(());
    }
    setup::ensure(ws, None)?;
    build(ws, &steps)?;
    for step in &steps {
        perform(ws, step)?;
    }
    Ok(())
}

/// The recipe that is asked for, and the other words.
fn recipe_of(given: &[String]) -> Result<(PathBuf, Vec<String>)> {
    args::valued_flags("train-mini", given, &["--from", "--only", "--recipe"])?;
    let mut words: Vec<String> = given.iter().flat_map(|arg| arg.splitn(2, '=')).map(str::to_owned).collect();
    let Some(at) = words.iter().step_by(2).position(|word| word == "--recipe") else {
        return Ok((RECIPE.into(), given.to_vec()));
    };
    let recipe = words.drain(2 * at..2 * at + 2).nth(1).unwrap_or_default();
    Ok((recipe.into(), words))
}

fn read_recipe(path: &Path) -> Result<Recipe> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    serde_json::from_str(&text)
        .map_err(|e| Error::Malformed { what: path.display().to_string(), detail: e.to_string() })
}

fn choose(steps: &[Step], given: &[String]) -> Result<Vec<Step>> {
    let position = |name: &str| {
        steps.iter().position(|step| step.name == name).ok_or_else(|| {
            let known: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
            Error::Usage(format!("the recipe has no step `{name}`. It has: {}.", known.join(", ")))
        })
    };
    args::valued_flags("train-mini", given, &["--from", "--only"])?;
    let words: Vec<&str> = given.iter().flat_map(|arg| arg.splitn(2, '=')).collect();
    match words[..] {
        [] => Ok(steps.to_vec()),
        ["--from", name] => Ok(steps[position(name)?..].to_vec()),
        ["--only", name] => Ok(vec![steps[position(name)?].clone()]),
        _ => Err(Error::Usage("train-mini takes one of --from STEP and --only STEP.".into())),
    }
}

fn is_done(ws: &Workspace, step: &Step) -> bool {
    step.done.as_ref().is_some_and(|file| ws.root.join(file).is_file())
}

fn list(ws: &Workspace, steps: &[Step]) {
    for step in steps {
        let state = if is_done(ws, step) { "done" } else { "to do" };
        println!("{:24} {state:6} {} {}", step.name, step.program, step.args.join(" "));
    }
}

fn build(ws: &Workspace, steps: &[Step]) -> Result<()> {
    let mut examples: Vec<&str> =
        steps.iter().map(|step| step.program.as_str()).filter(|name| *name != CORPUS).collect();
    examples.sort_unstable();
    examples.dedup();
    if steps.iter().any(|step| step.program == CORPUS) {
        println!("\ntrain-mini: building the corpus generator");
        process::run(process::cargo(ws).args(["build", "--release", "--package", CORPUS]))?;
    }
    if !examples.is_empty() {
        println!("\ntrain-mini: building the examples {}", examples.join(", "));
        crate::demo::build_examples(ws, "musicot", &examples, &["train"])?;
    }
    Ok(())
}

fn perform(ws: &Workspace, step: &Step) -> Result<()> {
    if is_done(ws, step) {
        println!("\ntrain-mini: {}: done before", step.name);
        return Ok(());
    }
    let program = if step.program == CORPUS {
        ws.build_dir.join("release").join(CORPUS)
    } else {
        ws.example(&step.program)
    };
    let mut command = Command::new(program);
    process::use_libtorch(&mut command, ws);
    command.current_dir(&ws.root).args(&step.args);
    println!("\ntrain-mini: {}: {}", step.name, process::shown(&command));
    let started = Instant::now();
    process::run(&mut command)?;
    println!("train-mini: {}: {:.0} s", step.name, started.elapsed().as_secs_f64());
    match &step.done {
        Some(file) if !is_done(ws, step) => {
            Err(Error::Check(format!("the step {} ended well but made no {}", step.name, file.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Vec<Step> {
        let text = r#"{"steps":[
            {"name":"corpus-train","program":"musicot-corpus","args":["--seed","1"],"done":"data/train/manifest.jsonl"},
            {"name":"codec","program":"train","args":["--config","models/recipe/codec.json"]},
            {"name":"lm","program":"train"}]}"#;
        serde_json::from_str::<Recipe>(text).unwrap().steps
    }

    fn names(given: &[&str]) -> Result<Vec<String>> {
        let given: Vec<String> = given.iter().map(|word| (*word).to_owned()).collect();
        Ok(choose(&recipe(), &given)?.into_iter().map(|step| step.name).collect())
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(names(&[]).unwrap(), ["corpus-train", "codec", "lm"]);
        assert_eq!(names(&["--from", "codec"]).unwrap(), ["codec", "lm"]);
        assert_eq!(names(&["--only=lm"]).unwrap(), ["lm"]);
        assert!(names(&["--only", "x"]).unwrap_err().to_string().contains("corpus-train"));
    }

    #[test]
    fn another_recipe_may_be_named() {
        let of = |given: &[&str]| {
            recipe_of(&given.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(of(&["--only", "lm"]), (RECIPE.into(), vec!["--only".to_owned(), "lm".to_owned()]));
        assert_eq!(
            of(&["--only=lm", "--recipe", "x.json"]),
            ("x.json".into(), vec!["--only".to_owned(), "lm".to_owned()])
        );
        assert!(recipe_of(&["--recipes".to_owned(), "x".to_owned()]).is_err());
    }

    #[test]
    fn the_recipes_of_the_tree_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for recipe in [RECIPE, "models/recipe/experiments/recipe.json"] {
            let path = root.join(recipe);
            if path.is_file() {
                assert!(!read_recipe(&path).unwrap().steps.is_empty());
            }
        }
    }

    #[test]
    fn a_finished_step_is_skipped_and_a_broken_promise_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let ws = Workspace { root: dir.path().to_path_buf(), build_dir: dir.path().join("target") };
        let program = ws.example("nothing");
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/bin/true", &program).unwrap();
        let step =
            Step { name: "a".into(), program: "nothing".into(), args: vec![], done: Some("made".into()) };
        assert!(perform(&ws, &step).unwrap_err().to_string().contains("made"));
        std::fs::write(dir.path().join("made"), "").unwrap();
        std::fs::remove_file(&program).unwrap();
        assert!(perform(&ws, &step).is_ok());
    }
}
