//! The LRC format of timed lyrics, as players write it; it has no standard. Read here: `[mm:ss.xx]` before a line (several for
//! a line that is sung again), `<mm:ss.xx>` before a word ("enhanced LRC"), and tags such as `[ar:name]`, of which `[offset:+-ms]` counts:
//! a positive offset makes everything earlier.

use musicot_core::train::LyricLine;
use musicot_core::{Error, Result};

/// Longest time that is taken for one, minutes: 5 digits.
const MINUTE_DIGITS: usize = 5;

/// Reads LRC: lines, or words where words have times, in the order of their times. A line without text ends the one before it. The
/// last line has no end.
///
/// ```
/// use musicot::prepare::parse_lrc;
/// let lines = parse_lrc("[ar:nobody]\n[00:01.50]la la\n[00:04.00]\n")?;
/// assert_eq!((lines.len(), lines[0].start_secs, lines[0].end_secs), (1, 1.5, Some(4.0)));
/// let words = parse_lrc("[00:10.00]<00:10.00>one <00:10.50>two")?;
/// assert_eq!(words[1].text, "two");
/// # Ok::<(), musicot::core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Input`] names the line that has text but no time, or a time that is none.
pub fn parse_lrc(text: &str) -> Result<Vec<LyricLine>> {
    let (mut entries, mut offset_secs) = (Vec::new(), 0.0);
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let wrong = |reason: String| Error::input(format!("line {}", index + 1), reason);
        match read_line(line.trim()) {
            Line::Empty => {}
            Line::Tag(name, value) if name.eq_ignore_ascii_case("offset") => {
                let millis: f64 =
                    value.trim().parse().map_err(|e| wrong(format!("offset `{value}`: {e}")))?;
                if !millis.is_finite() {
                    return Err(wrong(format!("offset: expected milliseconds, got {millis}")));
                }
                offset_secs = millis / 1000.0;
            }
            Line::Tag(..) => {}
            Line::Timed(stamps, text) => entries.extend(timed(&stamps, text)),
            Line::Other => {
                return Err(wrong(format!("expected a time such as [01:23.45], got `{}`", shortened(line))));
            }
        }
    }
    Ok(finished(entries, offset_secs))
}

/// A line of the file.
enum Line<'a> {
    Empty,
    Tag(&'a str, &'a str),
    Timed(Vec<f64>, &'a str),
    Other,
}

fn read_line(line: &str) -> Line<'_> {
    let (mut stamps, mut rest) = (Vec::new(), line);
    while let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        match (stamp(inside), inside.split_once(':')) {
            (Some(secs), _) => stamps.push(secs),
            (None, Some((name, value))) if stamps.is_empty() && is_tag(name) && after.trim().is_empty() => {
                return Line::Tag(name, value);
            }
            _ => break,
        }
        rest = after.trim_start();
    }
    match (line.is_empty(), stamps.is_empty()) {
        (true, _) => Line::Empty,
        (false, true) => Line::Other,
        (false, false) => Line::Timed(stamps, rest),
    }
}

fn is_tag(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '#')
}

/// Seconds of `mm:ss`, `mm:ss.xx` or `mm:ss:xx`, with one to three digits of a fraction.
fn stamp(text: &str) -> Option<f64> {
    let (minutes, rest) = text.trim().split_once(':')?;
    let (seconds, fraction) = rest.split_once(['.', ':']).unwrap_or((rest, "0"));
    let number = |digits: &str, most: usize| {
        let is_number =
            (1..=most).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        if is_number { digits.parse::<u32>().ok() } else { None }
    };
    let (minutes, seconds) =
        (number(minutes, MINUTE_DIGITS)?, number(seconds, 2).filter(|seconds| *seconds < 60)?);
    let fraction = f64::from(number(fraction, 3)?) / 10_f64.powi(fraction.len() as i32);
    Some(f64::from(minutes) * 60.0 + f64::from(seconds) + fraction)
}

/// Times and texts of a line; no text stands for the end of what was before.
fn timed(stamps: &[f64], text: &str) -> Vec<(f64, String)> {
    let words = words(text);
    let first = stamps[0];
    let mut entries = Vec::new();
    for start in stamps {
        let own = |(time, word): &(Option<f64>, &str)| {
            (time.map_or(*start, |time| time - first + start), (*word).to_owned())
        };
        entries.extend(words.iter().map(own));
    }
    entries
}

/// The parts of a line between word times. Text before the first one has the time of the line.
fn words(text: &str) -> Vec<(Option<f64>, &str)> {
    let (mut parts, mut time, mut begin, mut from) = (Vec::new(), None, 0, 0);
    while let Some(open) = text[from..].find('<').map(|at| from + at) {
        let inside = text[open + 1..].split_once('>');
        match inside.and_then(|(inside, _)| Some((stamp(inside)?, open + inside.len() + 2))) {
            Some((next, after)) => {
                parts.push((time, text[begin..open].trim()));
                (time, begin, from) = (Some(next), after, after);
            }
            None => from = open + 1,
        }
    }
    parts.push((time, text[begin..].trim()));
    if parts.len() > 1 && parts[0].1.is_empty() {
        parts.remove(0);
    }
    parts
}

/// Entries in order, each with its end.
fn finished(mut entries: Vec<(f64, String)>, offset_secs: f64) -> Vec<LyricLine> {
    for (start, _) in &mut entries {
        *start = (*start - offset_secs).max(0.0);
    }
    entries.sort_by(|a, b| a.0.total_cmp(&b.0));
    let end = |index: usize, start: f64| {
        entries[index + 1..].iter().map(|later| later.0).find(|later| *later > start)
    };
    let lines = entries.iter().enumerate().filter(|(_, (_, text))| !text.is_empty());
    lines
        .map(|(index, (start, text))| LyricLine {
            start_secs: *start,
            end_secs: end(index, *start),
            text: text.clone(),
        })
        .collect()
}

fn shortened(line: &str) -> String {
    line.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(f64, Option<f64>, String)> {
        parse_lrc(text).unwrap().into_iter().map(|line| (line.start_secs, line.end_secs, line.text)).collect()
    }

    #[test]
    fn lines_words_repeats_and_offsets_are_read() {
        let text = "\u{feff}[ti:Song]\r\n[offset:+500]\r\n[00:02.00][01:02]again\r\n\r\n[00:03.5]<00:03.50>one <00:04.0>two<00:05.00>\r\n";
        let expected = [
            (1.5, Some(3.0), "again".to_owned()),
            (3.0, Some(3.5), "one".to_owned()),
            (3.5, Some(4.5), "two".to_owned()),
            (61.5, None, "again".to_owned()),
        ];
        assert_eq!(read(text), expected);
        assert_eq!(read("[00:01.00]a <b> [c]")[0].2, "a <b> [c]");
        assert_eq!(read("[00:01:25]x")[0].0, 1.25);
        assert!(read("[by:me]\n\n").is_empty());
    }

    #[test]
    fn what_is_not_lrc_is_named_by_its_line() {
        for bad in [
            "words",
            "[00:61.00]x",
            "[1:2:3:4]x",
            "[00:01.0000]x",
            "[offset:soon]",
            "[offset:inf]",
            "[ar:x] text",
        ] {
            let error = parse_lrc(&format!("[00:01.00]fine\n{bad}")).unwrap_err().to_string();
            assert!(error.starts_with("line 2"), "{bad}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(lines in prop::collection::vec((0_u32..600_000, "[a-zäöü' ]{0,12}[a-z]"), 0..20)) {
            let text: String = lines
                .iter()
                .map(|(hundredths, words)| format!("[{:02}:{:02}.{:02}] {words}\n", hundredths / 6000, hundredths / 100 % 60, hundredths % 100))
                .collect();
            let mut expected: Vec<(f64, &str)> =
                lines.iter().map(|(hundredths, words)| (f64::from(*hundredths) / 100.0, words.trim())).collect();
            expected.sort_by(|a, b| a.0.total_cmp(&b.0));
            let found = parse_lrc(&text).unwrap();
            prop_assert_eq!(found.len(), expected.len());
            for (found, (secs, words)) in found.iter().zip(expected) {
                // Minutes, seconds and fraction are added, which rounds.
                prop_assert!((found.start_secs - secs).abs() < 1e-9);
                prop_assert_eq!(&found.text, words);
                prop_assert!(found.end_secs.is_none_or(|end| end > found.start_secs));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([\\[\\]<>:.0-9a-c \n]|\\PC){0,60}") {
            if let Ok(lines) = parse_lrc(&text) {
                prop_assert!(lines.iter().all(|line| line.start_secs >= 0.0 && line.start_secs.is_finite() && !line.text.is_empty()));
                prop_assert!(lines.windows(2).all(|pair| pair[0].start_secs <= pair[1].start_secs));
            }
        }
    }
}
