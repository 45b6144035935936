//! Other programs: cargo and the built examples, with libtorch where they expect it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Variables that would send torch-sys to another libtorch than `target/libtorch`.
const LIBTORCH_VARIABLES: [&str; 5] =
    ["LIBTORCH", "LIBTORCH_LIB", "LIBTORCH_INCLUDE", "LIBTORCH_USE_PYTORCH", "LIBTORCH_STATIC"];

/// Cargo, in the root of the workspace, with the configuration's libtorch.
pub fn cargo(ws: &Workspace) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&ws.root);
    // Without them cargo takes LIBTORCH from .cargo/config.toml, as a bare `cargo build` does: the same value, so that
    // neither rebuilds what the other built.
    for name in LIBTORCH_VARIABLES {
        command.env_remove(name);
    }
    use_libtorch(&mut command, ws);
    command
}

/// Puts our libtorch before any other one that the user's library path may hold.
pub fn use_libtorch(command: &mut Command, ws: &Workspace) {
    let ours = ws.libtorch().join("lib");
    let inherited = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let others =
        std::env::split_paths(&inherited).filter(|path| *path != ours && !path.as_os_str().is_empty());
    let joined = std::env::join_paths(std::iter::once(ours.clone()).chain(others))
        .unwrap_or_else(|_| ours.into_os_string());
    command.env("LD_LIBRARY_PATH", joined);
}

/// Python must not load our libtorch in place of its own.
pub fn python(program: &str, build_dir: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(inherited) = std::env::var_os("LD_LIBRARY_PATH") {
        let kept = std::env::split_paths(&inherited).filter(|path| !path.starts_with(build_dir));
        match std::env::join_paths(kept) {
            Ok(kept) if !kept.is_empty() => command.env("LD_LIBRARY_PATH", kept),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command
}

/// Runs to the end with its output shown.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(spawn_error(command))?;
    check(command, status)
}

/// Runs to the end; what it wrote on stdout.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(spawn_error(command))?;
    check(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end, passes each line of stdout on as it comes and shows it to `on_line`. The status is the caller's to judge.
pub fn stream(command: &mut Command, mut on_line: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(spawn_error(command))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        let mut out = std::io::stdout();
        while reader.read_until(b'\n', &mut line).map_err(spawn_error(command))? > 0 {
            // A closed stdout (`| head`) is no reason to stop the work.
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            let _ = writeln!(out, "{text}").and_then(|()| out.flush());
            on_line(text);
            line.clear();
        }
    }
    child.wait().map_err(spawn_error(command))
}

/// An error when the status is not zero.
pub fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    // A signal has no code; shells say 128 + its number, and 1 is enough here.
    let status = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Error::Program { what: shown(command), status })
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_owned();
    let words: Vec<OsString> =
        std::iter::once(program).chain(command.get_args().map(std::ffi::OsStr::to_owned)).collect();
    words.join(" ".as_ref()).to_string_lossy().into_owned()
}

fn spawn_error(command: &Command) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let program = shown(command);
    move |source| Error::Spawn { program, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_seen_and_the_status_is_kept() {
        let mut seen = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "printf 'one\\ntwo'; exit 7"]);
        let status = stream(&mut command, |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["one", "two"]);
        assert!(matches!(check(&command, status), Err(Error::Program { status: 7, .. })));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err().to_string();
        assert!(error.contains("no-such-program-here"), "{error}");
    }
}
