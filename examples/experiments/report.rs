//! What an experiment found: text, tables and pictures, as Markdown and as JSON.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use musicot::core::files::{write_atomic, write_json};
use musicot::core::tch;
use musicot_eval::Table;
use serde_json::{Value, json};

use crate::Context;
use crate::cell::Cell;
use crate::common::{Outcome, note, say};
use crate::machine;

enum Block {
    Text(String),
    Table { title: String, headings: Vec<String>, rows: Vec<Vec<Cell>> },
    Picture { file: String, caption: String },
    Missing { what: String, reason: String },
}

/// An experiment's report while it is being written.
pub struct Report<'a> {
    context: &'a Context,
    name: &'static str,
    title: &'static str,
    blocks: Vec<Block>,
    pictures: usize,
    started: Instant,
}

impl<'a> Report<'a> {
    pub fn new(context: &'a Context, name: &'static str, title: &'static str) -> Self {
        Self { context, name, title, blocks: Vec::new(), pictures: 0, started: Instant::now() }
    }

    /// A paragraph: what was done, how, and what to make of it.
    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// A table, which is printed at once.
    pub fn table<H: Into<String>>(
        &mut self,
        title: impl Into<String>,
        headings: impl IntoIterator<Item = H>,
        rows: Vec<Vec<Cell>>,
    ) -> Outcome {
        let headings: Vec<String> = headings.into_iter().map(Into::into).collect();
        let title = title.into();
        say(format_args!("\n{title}\n{}", table(&headings, &rows)?))?;
        self.blocks.push(Block::Table { title, headings, rows });
        Ok(())
    }

    /// A picture: the first has the experiment's name, others a name of their own.
    pub fn picture(
        &mut self,
        part: &str,
        caption: impl Into<String>,
        draw: impl FnOnce(&Path) -> musicot::core::Result<()>,
    ) -> Outcome {
        let stem = if self.pictures == 0 { self.name.to_owned() } else { format!("{}-{part}", self.name) };
        let file = format!("{stem}.svg");
        draw(&self.context.options.out.join(&file))?;
        self.pictures += 1;
        self.blocks.push(Block::Picture { file, caption: caption.into() });
        Ok(())
    }

    /// Something that could not be measured, and why; the rest goes on.
    pub fn missing(&mut self, what: impl Into<String>, reason: impl fmt::Display) {
        let what = what.into();
        let reason = reason.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        note(format_args!("{}: {what}: not measured: {reason}", self.name));
        self.blocks.push(Block::Missing { what, reason });
    }

    /// A part that may fail without the others.
    pub fn part(&mut self, what: &str, measure: impl FnOnce(&mut Self) -> Outcome) {
        note(format_args!("{}: {what} ...", self.name));
        if let Err(error) = measure(self) {
            self.missing(what, error);
        }
    }

    /// Writes NAME.json and NAME.md.
    pub fn write(&self) -> Outcome {
        let dir = &self.context.options.out;
        write_json(dir.join(format!("{}.json", self.name)), &self.to_json()?)?;
        let text = self.to_markdown()?;
        write_atomic(dir.join(format!("{}.md", self.name)), |file| file.write_all(text.as_bytes()))?;
        match self.blocks.iter().any(|block| matches!(block, Block::Table { .. })) {
            true => Ok(()),
            false => Err(format!("{}: nothing was measured; the reasons are above", self.name).into()),
        }
    }

    fn to_json(&self) -> Outcome<Value> {
        let block = |block: &Block| match block {
            Block::Text(text) => json!({ "text": text }),
            Block::Table { title, headings, rows } => {
                let rows: Vec<Vec<Value>> =
                    rows.iter().map(|row| row.iter().map(Cell::to_json).collect()).collect();
                json!({ "table": title, "headings": headings, "rows": rows })
            }
            Block::Picture { file, caption } => json!({ "picture": file, "caption": caption }),
            Block::Missing { what, reason } => json!({ "not_measured": what, "reason": reason }),
        };
        Ok(json!({
            "experiment": self.name,
            "title": self.title,
            "musicot": env!("CARGO_PKG_VERSION"),
            "date_utc": machine::date_utc(),
            "machine": machine::describe(),
            "threads": tch::get_num_threads(),
            "secs": self.started.elapsed().as_secs_f64(),
            "command": machine::command_line("cargo xtask experiments", 1),
            "stages": self.context.stages.directories(),
            "sha256": self.context.stages.hashes()?,
            "blocks": self.blocks.iter().map(block).collect::<Vec<_>>(),
        }))
    }

    fn to_markdown(&self) -> Outcome<String> {
        let mut text = format!(
            "## {}\n\n{}, {}, threads: {}, {:.0} s, musicot {}\n\n    {}\n",
            self.title,
            machine::date_utc(),
            machine::describe(),
            tch::get_num_threads(),
            self.started.elapsed().as_secs_f64(),
            env!("CARGO_PKG_VERSION"),
            machine::command_line("cargo xtask experiments", 1)
        );
        for block in &self.blocks {
            text.push_str(&match block {
                Block::Text(text) => format!("\n{text}\n"),
                Block::Table { title, headings, rows } => {
                    format!("\n**{title}**\n\n{}", table(headings, rows)?.to_markdown())
                }
                Block::Picture { file, caption } => format!("\n![{caption}]({file})\n\n*{caption}*\n"),
                Block::Missing { what, reason } => format!("\n- {what}: not measured: {reason}\n"),
            });
        }
        Ok(text)
    }
}

fn table(headings: &[String], rows: &[Vec<Cell>]) -> Outcome<Table> {
    let mut table = Table::new(headings.iter().cloned());
    for row in rows {
        table.row(row.iter().map(Cell::to_string))?;
    }
    Ok(table)
}
