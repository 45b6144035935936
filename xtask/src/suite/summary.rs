//! Sums of cargo's `test result` lines.

/// How a check went, or why it failed.
pub type Outcome = Result<(), String>;

/// How many tests passed and failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub passed: u64,
    pub failed: u64,
}

impl Totals {
    /// Adds what a line tells, if it is a `test result` line.
    pub fn read_line(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split(';') {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// Counts one check and says how it went.
    pub fn record(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("check {name} ... ok");
            }
            Err(why) => {
                self.failed += 1;
                println!("check {name} ... FAILED: {why}");
            }
        }
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_programs_are_summed() {
        let mut totals = Totals::default();
        for line in [
            "running 14 tests",
            "test a::b ... ok",
            "test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.01s",
            "test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
            "  test result: ok. 99 passed; 0 failed (a test's own words, indented)",
        ] {
            totals.read_line(line);
        }
        assert_eq!(totals, Totals { passed: 17, failed: 1 });
        assert_eq!(totals.to_string(), "17 passed, 1 failed");
    }

    #[test]
    fn checks_count_as_tests() {
        let mut totals = Totals::default();
        totals.record("one", Ok(()));
        totals.record("two", Err("because".into()));
        let mut all = Totals { passed: 3, failed: 0 };
        all.add(&totals);
        assert_eq!(all, Totals { passed: 4, failed: 1 });
    }
}
