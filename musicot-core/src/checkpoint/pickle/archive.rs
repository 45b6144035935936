//! The layout of an archive of `torch.save`, and the files that are something else.

use std::collections::HashMap;
use std::ops::Range;

use super::{Parsed, shown, zip};

const PICKLE: &str = "data.pkl";
/// The number that opens files of PyTorch before 1.6: protocol 2, then an integer of ten bytes.
const LEGACY: [u8; 14] = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Bytes of a storage's key; PyTorch counts in decimal digits.
const KEY_BYTES: usize = 64;

/// Whether the first bytes are those of a pickle that is in no archive: the opcode PROTO and its protocol.
pub(super) fn is_bare_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..])
}

/// The entries of an archive.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    entries: HashMap<&'a str, Range<usize>>,
    /// What the names of all entries begin with, such as `archive/`.
    prefix: &'a str,
}

impl<'a> Archive<'a> {
    /// Refuses what is no archive of `torch.save`, and says what it is.
    pub(super) fn open(bytes: &'a [u8]) -> Parsed<Self> {
        if !zip::is_zip(bytes) {
            return Err(bare_pickle(bytes).to_owned());
        }
        let entries = zip::entries(bytes)?;
        let prefix = prefix(&entries)?;
        let archive = Self { bytes, entries, prefix };
        archive.expect_no_code()?;
        archive.expect_little_endian()?;
        Ok(archive)
    }

    /// The pickle that makes the objects.
    pub(super) fn pickle(&self) -> &'a [u8] {
        self.get(PICKLE).unwrap_or_default()
    }

    pub(super) fn pickle_name(&self) -> String {
        format!("{}{PICKLE}", shown(self.prefix))
    }

    /// Where the bytes of a storage are.
    pub(super) fn storage(&self, key: &str) -> Parsed<Range<usize>> {
        let found = if key.len() <= KEY_BYTES { self.place(&format!("data/{key}")) } else { None };
        found.ok_or_else(|| format!("storage `{}` is not in the archive", shown(key)))
    }

    fn place(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(format!("{}{name}", self.prefix).as_str()).cloned()
    }

    fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.bytes.get(self.place(name)?)
    }

    fn expect_no_code(&self) -> Parsed<()> {
        let code = format!("{}code/", self.prefix);
        if self.get("constants.pkl").is_none() && !self.entries.keys().any(|name| name.starts_with(&code)) {
            return Ok(());
        }
        Err("is a TorchScript archive (`torch.jit.save`), which holds code; expected its weights alone, such as \
             `torch.save(torch.jit.load(path).state_dict(), new_path)` makes in Python"
            .to_owned())
    }

    /// Files of PyTorch before 2.1 do not say, and are little-endian.
    fn expect_little_endian(&self) -> Parsed<()> {
        match self.get("byteorder") {
            None | Some(b"little") => Ok(()),
            Some(other) => {
                let other = shown(&String::from_utf8_lossy(other));
                Err(format!("entry `{}byteorder`: expected `little`, got `{other}`", shown(self.prefix)))
            }
        }
    }
}

/// What comes before `data.pkl`, which must be there once.
fn prefix<'a>(entries: &HashMap<&'a str, Range<usize>>) -> Parsed<&'a str> {
    let prefix_of = |name: &&'a str| {
        name.strip_suffix(PICKLE).filter(|prefix| prefix.is_empty() || prefix.ends_with('/'))
    };
    let mut found = entries.keys().filter_map(prefix_of);
    match (found.next(), found.next()) {
        (Some(prefix), None) => Ok(prefix),
        (None, _) => Err("is a zip archive without `data.pkl`, so not a file of `torch.save`".to_owned()),
        (Some(one), Some(other)) => {
            // Sorted, so that the message does not depend on the order of a hash table.
            let (first, second) = (one.min(other), one.max(other));
            Err(format!("holds `{}{PICKLE}` and `{}{PICKLE}`, expected one", shown(first), shown(second)))
        }
    }
}

/// Why a pickle outside an archive is not read.
fn bare_pickle(bytes: &[u8]) -> &'static str {
    if bytes.starts_with(&LEGACY) {
        return "is in PyTorch's format from before version 1.6, which is not a zip archive; write it anew in Python: \
                `torch.save(torch.load(path, weights_only=True), new_path)`";
    }
    "is a plain pickle, not a file of `torch.save`; write its arrays as safetensors in Python"
}
