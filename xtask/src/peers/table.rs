//! The tables, in Markdown.

use super::item::{Item, Measured, Spread};
use crate::error::Result;
use crate::machine;

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
        text += &format!("| {name} | {} |\n", shown(Spread::of(rates)));
    }
    text += "\n| ratio | measured | stated | |\n|---|---:|---:|---|\n";
    for verdict in item.verdicts(measured)? {
        let met = if verdict.is_met() { "met" } else { "MISSED" };
        let stated = verdict.stated;
        text += &format!(
            "| {} / {} | {} | {} | {met} |\n",
            stated.ours,
            stated.peer,
            shown(verdict.ratio),
            stated.ratio
        );
    }
    Ok(text)
}

fn shown(of: Spread) -> String {
    [of.min, of.median, of.max].map(number).join(" / ")
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::{find, read};
    use super::*;

    #[test]
    fn a_table_has_every_variant_and_what_is_missed() {
        let lines = "{\"variant\": \"musicot\", \"units\": 4, \"secs\": [1.0]}\n{\"variant\": \"transformers\", \"units\": 4, \"secs\": [0.01]}\n";
        let text = of(find("clap").unwrap(), &read(lines, 0).unwrap(), "cargo xtask", 2).unwrap();
        assert!(
            text.contains("| musicot | 4.00 / 4.00 / 4.00 |")
                && text.contains("| transformers | 400 / 400 / 400 |"),
            "{text}"
        );
        assert!(text.contains("| musicot / transformers | 0.01 / 0.01 / 0.01 | 1.3 | MISSED |"), "{text}");
    }
}
