//! BENCHMARKS.md: what its sections are, and how a run puts its own there.

use crate::document::Document;
use crate::error::Result;
use crate::peers;
use crate::workspace::Workspace;

/// The heading of `cargo xtask bench-pipeline`.
pub const PIPELINE: &str = "## Whole pipeline";

/// Written by hand: what was predicted, and what came out.
const LOG: &str = "## Log";

const DOCUMENT: Document = Document {
    file: "BENCHMARKS.md",
    head: "\
# Benchmarks

How fast this repository is beside what people use in its place, and how fast and how large the whole pipeline is. Every section but the log is written by the command that it names:
`cargo xtask bench-peers` and `cargo xtask bench-pipeline`. Machines differ and have other work, so ratios within a run say more than seconds; MISSED stands where the project's own goal
is not met.
",
};

/// Puts a section that begins with `heading` into the document; the others stay.
pub fn put(ws: &Workspace, heading: &str, text: &str) -> Result<()> {
    let headings = peers::headings().chain([PIPELINE.to_owned(), LOG.to_owned()]);
    let sections: Vec<_> = headings
        .map(|known| {
            let new = (known == heading).then(|| text.to_owned());
            (known, new)
        })
        .collect();
    let count = DOCUMENT.write(&ws.root, &sections)?;
    println!("{}: {count} sections, of which `{}` is new", DOCUMENT.file, heading.trim_start_matches("# "));
    Ok(())
}
