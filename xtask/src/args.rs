//! The few argument forms that the commands share.

use crate::error::{Error, Result};

/// Flags without values: each given one must be among `known`.
pub fn only_switches(command: &str, args: &[String], known: &[&str]) -> Result<Vec<String>> {
    match args.iter().find(|arg| !known.contains(&arg.as_str())) {
        Some(unknown) => Err(Error::Usage(format!(
            "`{unknown}` is not a flag of `{command}`. `cargo xtask {command} --help` tells what is."
        ))),
        None => Ok(args.to_vec()),
    }
}

/// Arguments before the first `--` and those after it.
pub fn split_at_dashes(args: &[String]) -> (&[String], &[String]) {
    match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[]),
    }
}

/// Checks `--flag VALUE` and `--flag=VALUE` forms against the known names, so that a typing error is told before a long
/// build and not after it. Returns the names given.
pub fn valued_flags(command: &str, args: &[String], known: &[&str]) -> Result<Vec<String>> {
    Ok(pairs(command, args, known)?.into_iter().map(|(name, _)| name).collect())
}

/// The same with their values.
pub fn pairs(command: &str, args: &[String], known: &[&str]) -> Result<Vec<(String, String)>> {
    let mut given = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg.as_str(), None),
        };
        if !known.contains(&name) {
            return Err(Error::Usage(format!(
                "`{name}` is not a flag of `{command}`. It has: {}.",
                known.join(", ")
            )));
        }
        let Some(value) = inline.or_else(|| rest.next().map(String::as_str)) else {
            return Err(Error::Usage(format!("`{name}` needs a value.")));
        };
        given.push((name.to_owned(), value.to_owned()));
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn values_may_look_like_flags() {
        let given =
            valued_flags("demo", &strings(&["--prompt", "--loud--", "--seed=3"]), &["--prompt", "--seed"]);
        assert_eq!(given.unwrap(), strings(&["--prompt", "--seed"]));
        let pairs = pairs("demo", &strings(&["--prompt", "a", "--seed=3"]), &["--prompt", "--seed"]).unwrap();
        assert_eq!(pairs[1], ("--seed".to_owned(), "3".to_owned()));
        assert_eq!(pairs[0].1, "a");
    }

    #[test]
    fn a_typing_error_and_a_missing_value_are_named() {
        let error = valued_flags("demo", &strings(&["--promt", "x"]), &["--prompt"]).unwrap_err().to_string();
        assert!(error.contains("--promt") && error.contains("--prompt"), "{error}");
        let error = valued_flags("demo", &strings(&["--prompt"]), &["--prompt"]).unwrap_err().to_string();
        assert!(error.contains("needs a value"), "{error}");
    }

    #[test]
    fn what_follows_the_dashes_is_apart() {
        let args = strings(&["--seed", "1", "--", "--steps", "8"]);
        assert_eq!(split_at_dashes(&args), (&args[..2], &args[3..]));
        assert_eq!(split_at_dashes(&args[..2]), (&args[..2], &[][..]));
    }
}
