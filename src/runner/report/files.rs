//! Which reports are made of a record, and where they go.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{github, html, json, junit, messages};
use crate::runner::cli::Reports;
use crate::runner::record::Record;

/// What stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// Makes the text of a report. Nothing but the record goes into it.
type Render = fn(&Record) -> String;

impl Reports {
    /// Every report that is asked for: its file, and what makes it.
    fn asked_for(&self) -> Vec<(&Path, Render)> {
        let all: [(_, Render); 4] = [
            (&self.junit, junit::render),
            (&self.json, json::render),
            (&self.html, html::render),
            (&self.messages, messages::render),
        ];
        let asked = all.into_iter();
        asked
            .filter_map(|(file, render)| Some((file.as_deref()?, render)))
            .collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.asked_for().is_empty() && !self.github
    }

    /// The same, and what the place where the run goes on asks for by itself.
    pub fn and_fitting(&self) -> Reports {
        let actions = std::env::var("GITHUB_ACTIONS");
        let on_github = actions.is_ok_and(|value| value == "true");
        Reports {
            github: self.github || on_github,
            ..self.clone()
        }
    }

    /// Whether one of them goes to standard output.
    pub fn take_standard_output(&self) -> bool {
        let mut files = self.asked_for().into_iter().map(|(file, _)| file);
        files.any(|file| file == Path::new(STANDARD_OUTPUT))
    }

    /// Makes sure that no two of them go to the same place.
    ///
    /// # Errors
    ///
    /// Where two would.
    pub fn check_places(&self) -> Result<(), String> {
        let mut places: Vec<PathBuf> = Vec::new();
        for (file, _) in self.asked_for() {
            let place = place(file);
            if places.contains(&place) {
                return Err(match file == Path::new(STANDARD_OUTPUT) {
                    true => "only one report can go to standard output".to_owned(),
                    false => format!("two reports cannot go to one file: {}", file.display()),
                });
            }
            places.push(place);
        }
        Ok(())
    }

    /// Makes sure, before a run takes its time, that they can be written.
    ///
    /// # Errors
    ///
    /// Which cannot, and why.
    pub fn check(&self) -> Result<(), String> {
        self.check_places()?;
        for (file, _) in self.asked_for() {
            if file != Path::new(STANDARD_OUTPUT) {
                let opened = OpenOptions::new().append(true).create(true).open(file);
                opened.map_err(|error| cannot(file, &error))?;
            }
        }
        Ok(())
    }

    /// Writes them, each whether the others can be written or not.
    ///
    /// # Errors
    ///
    /// Which cannot be written, and why, a line each.
    pub fn write(&self, record: &Record) -> Result<(), String> {
        let mut wrong = Vec::new();
        for (file, render) in self.asked_for() {
            let text = render(record);
            let written = match file == Path::new(STANDARD_OUTPUT) {
                true => std::io::stdout().write_all(text.as_bytes()),
                false => std::fs::write(file, text),
            };
            wrong.extend(written.err().map(|error| cannot(file, &error)));
        }
        if self.github {
            wrong.extend(self.annotate(record).err());
            wrong.extend(summarize(record).err());
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(wrong.join("\n")),
        }
    }

    /// Commands to GitHub may stand in either output.
    fn annotate(&self, record: &Record) -> Result<(), String> {
        let annotations = github::annotations(record);
        let written = match self.take_standard_output() {
            true => std::io::stderr().write_all(annotations.as_bytes()),
            false => std::io::stdout().write_all(annotations.as_bytes()),
        };
        written.map_err(|error| format!("the annotations cannot be written: {error}"))
    }
}

/// Adds to the summary of the step where there is one.
fn summarize(record: &Record) -> Result<(), String> {
    let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY") else {
        return Ok(());
    };
    let file = Path::new(&file);
    let opened = OpenOptions::new().append(true).create(true).open(file);
    let summary = github::summary(record);
    let written = opened.and_then(|mut file| file.write_all(summary.as_bytes()));
    written.map_err(|error| cannot(file, &error))
}

/// The same for all names of a file, as far as that is known before it is there.
fn place(file: &Path) -> PathBuf {
    let found = std::fs::canonicalize(file).or_else(|_| std::path::absolute(file));
    found.unwrap_or_else(|_| file.to_owned())
}

fn cannot(file: &Path, error: &std::io::Error) -> String {
    format!("the report {} cannot be written: {error}", file.display())
}
