//! Which reports are made of a record, and where they go.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use super::{json, junit};
use crate::runner::cli::Reports;
use crate::runner::record::Record;

/// What stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// Makes the text of a report. Nothing but the record goes into it.
type Render = fn(&Record) -> String;

impl Reports {
    /// Every report that is asked for: its file, and what makes it.
    fn asked_for(&self) -> Vec<(&Path, Render)> {
        let all: [(_, Render); 2] = [(&self.junit, junit::render), (&self.json, json::render)];
        let asked = all.into_iter();
        asked
            .filter_map(|(file, render)| Some((file.as_deref()?, render)))
            .collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.asked_for().is_empty()
    }

    /// Whether one of them goes to standard output.
    pub fn take_standard_output(&self) -> bool {
        let mut files = self.asked_for().into_iter().map(|(file, _)| file);
        files.any(|file| file == Path::new(STANDARD_OUTPUT))
    }

    /// Makes sure, before a run takes its time, that they can be written.
    ///
    /// # Errors
    ///
    /// Which cannot, and why.
    pub fn check(&self) -> Result<(), String> {
        for (file, _) in self.asked_for() {
            if file != Path::new(STANDARD_OUTPUT) {
                let opened = OpenOptions::new().append(true).create(true).open(file);
                opened.map_err(|error| cannot(file, &error))?;
            }
        }
        Ok(())
    }

    /// Writes them.
    ///
    /// # Errors
    ///
    /// Which cannot be written, and why.
    pub fn write(&self, record: &Record) -> Result<(), String> {
        for (file, render) in self.asked_for() {
            let text = render(record);
            let written = match file == Path::new(STANDARD_OUTPUT) {
                true => std::io::stdout().write_all(text.as_bytes()),
                false => std::fs::write(file, text),
            };
            written.map_err(|error| cannot(file, &error))?;
        }
        Ok(())
    }
}

fn cannot(file: &Path, error: &std::io::Error) -> String {
    format!("the report {} cannot be written: {error}", file.display())
}
