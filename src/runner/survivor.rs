//! Mutants that are known to survive, each with the reason: expectations that cannot be wrong in
//! the way in which they were changed, and faults that leave nothing that could be noticed.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::trial::{Trial, Wrong};

/// The name of the file with the list, in the folder of the feature files.
pub const FILE_NAME: &str = "survivors.toml";

/// A change that nobody can notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// A scenario's id.
    pub scenario: String,
    /// The text of the step, or the name of the fault.
    pub what: String,
    /// Whether it is a fault.
    pub is_fault: bool,
    /// What is changed in the step; where it is not given, anything.
    pub change: Option<String>,
    /// Why nobody can notice.
    pub reason: String,
}

impl fmt::Display for Survivor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scenario, self.what)?;
        match &self.change {
            Some(change) => write!(f, " ('{change}')"),
            None => Ok(()),
        }
    }
}

impl Survivor {
    /// Whether it is about trials like `trial`: the same scenario, and a fault or none.
    pub fn could_be(&self, trial: &Trial) -> bool {
        let is_fault = matches!(trial.wrong, Wrong::Fault(_));
        self.scenario == trial.id() && self.is_fault == is_fault
    }

    /// Whether this is the entry for `trial`.
    pub fn is(&self, trial: &Trial) -> bool {
        let change = self.change.as_deref();
        self.could_be(trial)
            && self.what == trial.what()
            && change.is_none_or(|change| trial.changed() == Some(change))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    survivor: Vec<Entry>,
}

/// An entry: a change of a step, or faults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    scenario: String,
    step: Option<String>,
    change: Option<String>,
    #[serde(default)]
    faults: Vec<String>,
    reason: String,
}

impl Entry {
    fn survivors(self) -> Result<Vec<Survivor>, String> {
        let is_fault = self.step.is_none();
        let of = |what| Survivor {
            scenario: self.scenario.clone(),
            what,
            is_fault,
            change: self.change.clone(),
            reason: self.reason.clone(),
        };
        let wrong = |what| Err(format!("an entry of scenario {}: {what}", self.scenario));
        match (self.step.clone(), self.faults.as_slice()) {
            _ if self.reason.trim().is_empty() => wrong("`reason` is empty"),
            (Some(step), []) => Ok(vec![of(step)]),
            (None, faults) if !faults.is_empty() && self.change.is_none() => {
                Ok(faults.iter().cloned().map(of).collect())
            }
            _ => wrong("it needs either `step`, perhaps with `change`, or `faults`"),
        }
    }
}

/// Reads the list; a file that does not exist is an empty one.
///
/// # Errors
///
/// What is wrong with it.
pub fn read(file: &Path) -> Result<Vec<Survivor>, String> {
    let at = |error: String| format!("{}: {error}", file.display());
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(error.to_string())),
    };
    let file: File = toml::from_str(&text).map_err(|error| at(error.to_string()))?;
    let survivors = file.survivor.into_iter().map(Entry::survivors);
    let survivors: Result<Vec<_>, _> = survivors.collect();
    Ok(survivors.map_err(at)?.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        assert_eq!(read(&file), Ok(Vec::new()));
        let entry = "[[survivor]]\nscenario = \"1.1\"\nstep = \"x\"\nreason = ";
        std::fs::write(&file, format!("{entry}\"because\"\n")).unwrap();
        assert_eq!(read(&file).unwrap()[0].to_string(), "1.1 x");
        std::fs::write(&file, format!("{entry}\" \"\n")).unwrap();
        assert!(read(&file).unwrap_err().contains("`reason` is empty"));
        std::fs::write(&file, format!("{entry}\"b\"\nextra = 1\n")).unwrap();
        assert!(read(&file).unwrap_err().contains("extra"));
    }

    #[test]
    fn an_entry_is_about_a_step_or_about_faults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        let read = |lines: &str| {
            let text = format!("[[survivor]]\nscenario = \"1.1\"\nreason = \"r\"\n{lines}\n");
            std::fs::write(&file, text).unwrap();
            let survivors = read(&file)?.into_iter();
            Ok::<_, String>(
                survivors
                    .map(|survivor| survivor.to_string())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(read("faults = ['a', 'b']").unwrap(), ["1.1 a", "1.1 b"]);
        assert_eq!(read("step = 'x'\nchange = '7'").unwrap(), ["1.1 x ('7')"]);
        for neither in [
            "",
            "step = 'x'\nfaults = ['a']",
            "faults = ['a']\nchange = '7'",
        ] {
            assert!(read(neither).unwrap_err().contains("either"), "{neither}");
        }
    }
}
