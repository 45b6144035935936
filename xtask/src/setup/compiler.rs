//! torch-sys compiles C++: better told before a download than after it.

use std::process::Command;

use crate::error::{Error, Result};

/// Checks the compiler that the build will use: `$CXX`, else `c++`.
pub fn check() -> Result<()> {
    let asked = std::env::var("CXX").unwrap_or_default();
    // CXX may hold a wrapper and flags (`ccache g++`): the first word must run.
    let program = asked.split_whitespace().next().unwrap_or("c++");
    match first_line(program) {
        Some(line) => {
            println!("set-up: C++ compiler: {line}");
            Ok(())
        }
        None => Err(Error::NoCompiler { detail: why(program) }),
    }
}

fn why(program: &str) -> String {
    match ["g++", "clang++"].into_iter().find(|other| *other != program && first_line(other).is_some()) {
        Some(other) => format!("`{program}` does not run, but `{other}` does: `export CXX={other}`"),
        None => format!("`{program}` does not run"),
    }
}

fn first_line(program: &str) -> Option<String> {
    let output =
        Command::new(program).arg("--version").output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or(program).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_compiler_is_named() {
        assert_eq!(first_line("no-such-compiler"), None);
        assert!(why("no-such-compiler").contains("no-such-compiler"));
    }
}
