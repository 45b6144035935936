//! Versions of libtorch.

/// Whether `found` (`2.11.0`, `2.11.0+cpu`, `2.11.0+cu130`) is `wanted`, whatever it was built for.
pub fn matches(found: &str, wanted: &str) -> bool {
    release(found) == release(wanted)
}

/// The version without its local part and without surrounding space.
pub fn release(version: &str) -> &str {
    let version = version.trim();
    version.split_once('+').map_or(version, |(release, _)| release)
}

/// The value of `__version__` in a torch package's `version.py`.
pub fn from_version_py(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("__version__"))?;
    let value = line.split_once('=')?.1.trim();
    let value = value.trim_matches(['\'', '"']);
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_local_part_does_not_count_and_every_number_does() {
        assert!(matches("2.11.0+cu130\n", "2.11.0"));
        assert!(matches(" 2.11.0", "2.11.0+cpu"));
        for other in ["2.11.1", "2.1.0", "2.11", "2.11.0rc1", "2.11.0.dev1", ""] {
            assert!(!matches(other, "2.11.0"), "{other}");
        }
    }

    #[test]
    fn version_py_is_read() {
        let text = "from typing import Optional\n__all__ = ['__version__']\n__version__ = '2.11.0+cu130'\ndebug = False\n";
        assert_eq!(from_version_py(text), Some("2.11.0+cu130"));
        assert_eq!(from_version_py("debug = True\n"), None);
    }

    proptest! {
        #[test]
        fn a_version_matches_itself_with_any_local_part(a in 0u8..20, b in 0u8..20, c in 0u8..20, local in "[a-z0-9.]{0,8}") {
            let plain = format!("{a}.{b}.{c}");
            let with_local = format!("{}+{}", plain, local);
            prop_assert!(matches(&with_local, &plain));
        }
    }
}
