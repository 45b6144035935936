//! The tables, in Markdown.

use super::item::{Item, Measured};
use crate::error::Result;
use crate::machine;
use crate::spread::Spread;

/// The heading of an item's section.
pub fn heading(item: &Item) -> String {
    format!("## {}", item.title)
}

/// The section of an item: every variant, and the stated ratios.
pub fn of(item: &Item, measured: &[Measured], command: &str, threads: usize) -> Result<String> {
    let (heading, date, machine) = (heading(item), machine::date_utc(), machine::describe());
    let mut text = format!(
        "{heading}\n\n{date}, {machine}, {threads} threads. Rates are those of the median call of a round; smallest / median / largest over rounds.\n\n    \
         {command}\n\n| variant | {} a second |\n|---|---:|\n",
        item.unit
    );
    let mut names: Vec<&str> = Vec::new();
    for name in measured.iter().map(|measured| measured.variant.as_str()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let rates = measured.iter().filter(|measured| measured.variant == name).map(Measured::rate).collect();
        text += &format!("| {name} | {} |\n", Spread::of(rates));
    }
    text += "\n| ratio | measured | stated | |\n|---|---:|---:|---|\n";
    for verdict in item.verdicts(measured)? {
        let met = if verdict.is_met() { "met" } else { "MISSED" };
        let stated = verdict.stated;
        text += &format!(
            "| {} / {} | {} | {} | {met} |\n",
            stated.ours, stated.peer, verdict.ratio, stated.ratio
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::item::{find, read};
    use super::*;

    #[test]
    fn a_table_has_every_variant_and_what_is_missed() {
        let lines = "{\"variant\": \"musicot\", \"units\": 4, \"secs\": [1.0]}\n{\"variant\": \"transformers\", \"units\": 4, \"secs\": [0.01]}\n";
        let text = of(find("clap").unwrap(), &read(lines, 0).unwrap(), "cargo xtask", 2).unwrap();
        assert!(text.contains("| musicot | 4.00 |") && text.contains("| transformers | 400 |"), "{text}");
        assert!(text.contains("| musicot / transformers | 0.010 | 1.3 | MISSED |"), "{text}");
    }
}
