//! Documents of the root whose sections are the reports of single runs.

use std::path::Path;

use crate::error::{Error, Result};

/// A document of Markdown.
pub struct Document {
    /// Its name in the root.
    pub file: &'static str,
    /// What stands above all sections.
    pub head: &'static str,
}

impl Document {
    /// Writes the document. A section is the beginning of its heading (`## ...`) and its new text; where there is no new text, what the document has under
    /// such a heading stays. Returns how many sections there are.
    pub fn write(&self, root: &Path, sections: &[(String, Option<String>)]) -> Result<usize> {
        let path = root.join(self.file);
        let before = match path.is_file() {
            true => std::fs::read_to_string(&path).map_err(Error::io("read", &path))?,
            false => String::new(),
        };
        let chosen =
            sections.iter().filter_map(|(heading, new)| new.as_deref().or(section_of(&before, heading)));
        let chosen: Vec<&str> = chosen.collect();
        let text = chosen.iter().fold(self.head.to_owned(), |text, section| text + "\n" + section);
        std::fs::write(&path, text).map_err(Error::io("write", &path))?;
        Ok(chosen.len())
    }
}

/// The section whose heading begins so, up to the next.
fn section_of<'a>(document: &'a str, heading: &str) -> Option<&'a str> {
    let start = document.find(&format!("\n{heading}"))? + 1;
    let rest = &document[start..];
    Some(rest.find("\n## ").map_or(rest, |end| &rest[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_sections_take_the_place_of_old_ones() {
        let dir = tempfile::tempdir().unwrap();
        let document = Document { file: "A.md", head: "# A\n" };
        let write = |new: [Option<&str>; 3]| {
            let headings = ["## 1. ", "## 2. ", "## Log"].map(str::to_owned);
            let new = new.map(|text| text.map(str::to_owned));
            let count =
                document.write(dir.path(), &headings.into_iter().zip(new).collect::<Vec<_>>()).unwrap();
            (count, std::fs::read_to_string(dir.path().join("A.md")).unwrap())
        };
        assert_eq!(write([None; 3]), (0, "# A\n".to_owned()));
        let both = [Some("## 1. One\n\nold\n"), None, Some("## Log\n\nby hand\n")];
        assert_eq!(write(both), (2, "# A\n\n## 1. One\n\nold\n\n## Log\n\nby hand\n".to_owned()));
        let (count, text) = write([Some("## 1. One\n\nnew\n"), Some("## 2. Two\n"), None]);
        assert_eq!(
            (count, text.as_str()),
            (3, "# A\n\n## 1. One\n\nnew\n\n## 2. Two\n\n## Log\n\nby hand\n")
        );
    }
}
