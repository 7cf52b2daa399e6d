//! Mutants that are known to survive, each with the reason: expectations that cannot be wrong in
//! the way in which they were changed.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::trial::Trial;

/// The name of the file with the list, in the folder of the feature files.
pub const FILE_NAME: &str = "survivors.toml";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survivor {
    /// A scenario's id.
    pub scenario: String,
    /// The text of the step, or the name of the fault.
    pub step: String,
    /// What is changed in the step; where it is not given, anything.
    pub change: Option<String>,
    /// Why nobody can notice.
    pub reason: String,
}

impl fmt::Display for Survivor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scenario, self.step)?;
        match &self.change {
            Some(change) => write!(f, " ('{change}')"),
            None => Ok(()),
        }
    }
}

impl Survivor {
    /// Whether this is the entry for `trial`.
    pub fn is(&self, trial: &Trial) -> bool {
        let change = self.change.as_deref();
        self.scenario == trial.id()
            && self.step == trial.what()
            && change.is_none_or(|change| trial.changed() == Some(change))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    survivor: Vec<Survivor>,
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
    match file
        .survivor
        .iter()
        .find(|entry| entry.reason.trim().is_empty())
    {
        Some(entry) => Err(at(format!("{entry}: `reason` is empty"))),
        None => Ok(file.survivor),
    }
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
}
