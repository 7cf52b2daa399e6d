//! `harmony.toml`: the platforms and the settings of a run.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::combination::ALL;
use super::known;
use super::limits::Limits;
use super::nearest::did_you_mean;
use super::platform::{Platform, RawPlatform, expand};
use super::scale::{self, Scale};

/// The name of the file.
pub const FILE_NAME: &str = "harmony.toml";

/// The shared memory of a sandbox in MiB, where the file does not say it. A Python client's
/// response buffer takes 256 of them.
const SHM_SIZE: u64 = 1024;

/// How many runs are kept, where the file does not say it.
const KEEP_RUNS: NonZeroUsize = NonZeroUsize::new(50).expect("50 is not 0");

/// What the file says, with paths made absolute and variables put in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that the file stands in.
    pub root: PathBuf,
    /// The folder of the feature files.
    pub features: PathBuf,
    /// The list of known failures; need not exist.
    pub known_failures: PathBuf,
    /// Where logs and stamps are written.
    pub output: PathBuf,
    /// Time limits.
    pub limits: Limits,
    /// How far scenarios are scaled that would take hours.
    pub scale: Scale,
    /// How many executions run at the same time, where the file says it.
    pub jobs: Option<NonZeroUsize>,
    /// How many runs are kept, the latest one included.
    pub keep_runs: NonZeroUsize,
    /// How much shared memory a sandbox has, in MiB, where a scenario does not say it.
    pub shm_size: u64,
    /// The platforms, in the order of the file.
    pub platforms: Vec<Platform>,
}

impl Config {
    /// Which of these platforms are not there, and why.
    pub fn missing(&self, names: &[String]) -> Vec<String> {
        let meant = |platform: &&Platform| names.contains(&platform.name);
        let missing = self.platforms.iter().filter(meant).filter_map(|platform| {
            let why = platform.missing()?;
            Some(format!("{}: {why}", platform.name))
        });
        missing.collect()
    }
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct ConfigError {
    file: PathBuf,
    line: Option<usize>,
    message: String,
}

/// Finds the file in `folder` or above it.
///
/// # Errors
///
/// When there is none.
pub fn find(folder: &Path) -> Result<PathBuf, String> {
    let found = folder
        .ancestors()
        .map(|f| f.join(FILE_NAME))
        .find(|f| f.is_file());
    found.ok_or_else(|| {
        format!(
            "there is no {FILE_NAME} in {} or above it; name one with --config",
            folder.display()
        )
    })
}

/// Reads the file. `variable` looks up environment variables.
///
/// # Errors
///
/// What is wrong, and in which line.
pub fn read(file: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    let error = |message: String| ConfigError {
        file: file.to_owned(),
        line: None,
        message,
    };
    let text = std::fs::read_to_string(file).map_err(|e| error(format!("cannot be read: {e}")))?;
    let absolute = std::path::absolute(file).map_err(|e| error(e.to_string()))?;
    let root = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    parse(&text, file, &root, &variable)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    features: Option<String>,
    known_failures: Option<String>,
    output: Option<String>,
    jobs: Option<NonZeroUsize>,
    keep_runs: Option<NonZeroUsize>,
    #[serde(default)]
    limits: BTreeMap<String, f64>,
    #[serde(default)]
    sandbox: RawSandbox,
    #[serde(default)]
    scale: RawScale,
    #[serde(default)]
    platforms: BTreeMap<String, RawPlatform>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawSandbox {
    shm_size: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawScale {
    long_running_seconds: Option<f64>,
    benchmark: Option<f64>,
}

impl RawScale {
    fn resolve(&self) -> Result<Scale, String> {
        let mut scale = Scale::default();
        if let Some(seconds) = self.long_running_seconds {
            let time = scale::duration(&seconds.to_string());
            scale.long_running = time.map_err(|why| format!("long-running-seconds: {why}"))?;
        }
        if let Some(factor) = self.benchmark {
            let factor = scale::factor(&factor.to_string());
            scale.benchmark = factor.map_err(|why| format!("benchmark: {why}"))?;
        }
        Ok(scale)
    }
}

const TOP_KEYS: [&str; 9] = [
    "features",
    "known-failures",
    "output",
    "jobs",
    "keep-runs",
    "limits",
    "sandbox",
    "scale",
    "platforms",
];
const LIMIT_KEYS: [&str; 6] = ["start", "step", "execution", "shutdown", "setup", "run"];
const SANDBOX_KEYS: [&str; 1] = ["shm-size"];
const SCALE_KEYS: [&str; 2] = ["long-running-seconds", "benchmark"];
const PLATFORM_KEYS: [&str; 10] = [
    "command",
    "url",
    "faulty",
    "cwd",
    "env",
    "leaves",
    "leaves-as",
    "setup",
    "optional",
    "language",
];
const SETUP_KEYS: [&str; 3] = ["command", "inputs", "product"];

fn parse(
    text: &str,
    file: &Path,
    root: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    let error = |at: Option<usize>, message: String| ConfigError {
        file: file.to_owned(),
        line: at.map(|offset| text[..offset.min(text.len())].matches('\n').count() + 1),
        message,
    };
    let toml_error = |e: toml::de::Error| error(e.span().map(|s| s.start), e.message().to_owned());
    let table = DeTable::parse(text).map_err(toml_error)?;
    let order = check_keys(table.get_ref()).map_err(|(at, message)| error(Some(at), message))?;
    let raw: File = toml::from_str(text).map_err(toml_error)?;
    let path = |text: Option<String>, default: &str| -> Result<PathBuf, ConfigError> {
        let text = text.unwrap_or_else(|| default.to_owned());
        let expanded = expand(&text, variable).map_err(|message| error(None, message))?;
        Ok(root.join(expanded))
    };
    let mut raw_platforms = raw.platforms;
    let mut platforms = Vec::new();
    for name in order {
        if let Some(raw) = raw_platforms.remove(&name) {
            let platform = raw.resolve(&name, root, variable);
            platforms.push(platform.map_err(|why| error(None, format!("platform {name}: {why}")))?);
        }
    }
    let limit = |name: &str, default: f64| {
        let seconds = raw.limits.get(name).copied().unwrap_or(default);
        let bad = || {
            error(
                None,
                format!("limits.{name}: {seconds} is no number of seconds"),
            )
        };
        let positive = Some(seconds).filter(|s| *s > 0.0).ok_or_else(bad)?;
        Duration::try_from_secs_f64(positive).map_err(|_| bad())
    };
    Ok(Config {
        features: path(raw.features, "features")?,
        known_failures: path(raw.known_failures, known::FILE_NAME)?,
        output: path(raw.output, "target/harmony")?,
        limits: Limits {
            start: limit("start", 20.0)?,
            step: limit("step", 35.0)?,
            execution: limit("execution", 300.0)?,
            shutdown: limit("shutdown", 5.0)?,
            setup: limit("setup", 900.0)?,
            run: match raw.limits.contains_key("run") {
                true => Some(limit("run", 0.0)?),
                false => None,
            },
        },
        scale: raw
            .scale
            .resolve()
            .map_err(|why| error(None, format!("scale.{why}")))?,
        jobs: raw.jobs,
        keep_runs: raw.keep_runs.unwrap_or(KEEP_RUNS),
        shm_size: raw.sandbox.shm_size.unwrap_or(SHM_SIZE),
        platforms,
        root: root.to_owned(),
    })
}

/// Looks at every key of the file; yields the platforms' names in their order.
fn check_keys(table: &DeTable<'_>) -> Result<Vec<String>, (usize, String)> {
    known_keys(table, &TOP_KEYS)?;
    if let Some(limits) = sub_table(table, "limits") {
        known_keys(limits, &LIMIT_KEYS)?;
    }
    if let Some(sandbox) = sub_table(table, "sandbox") {
        known_keys(sandbox, &SANDBOX_KEYS)?;
    }
    if let Some(scale) = sub_table(table, "scale") {
        known_keys(scale, &SCALE_KEYS)?;
    }
    let Some(platforms) = sub_table(table, "platforms") else {
        return Ok(Vec::new());
    };
    let mut order = Vec::new();
    for (name, value) in platforms.iter() {
        let text: &str = name.get_ref();
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins || !text.chars().all(legal) || text == ALL {
            let message = format!(
                "`{text}` cannot name a platform: a letter, then letters, digits and `-`; not `{ALL}`"
            );
            return Err((name.span().start, message));
        }
        if let DeValue::Table(platform) = value.get_ref() {
            known_keys(platform, &PLATFORM_KEYS)?;
            if let Some(setup) = sub_table(platform, "setup") {
                known_keys(setup, &SETUP_KEYS)?;
            }
        }
        order.push((name.span().start, text.to_owned()));
    }
    order.sort();
    Ok(order.into_iter().map(|(_, name)| name).collect())
}

fn sub_table<'t>(table: &'t DeTable<'_>, key: &str) -> Option<&'t DeTable<'t>> {
    match table.get(key).map(Spanned::get_ref) {
        Some(DeValue::Table(inner)) => Some(inner),
        _ => None,
    }
}

fn known_keys(table: &DeTable<'_>, known: &[&str]) -> Result<(), (usize, String)> {
    for key in table.keys() {
        let text: &str = key.get_ref();
        if !known.contains(&text) {
            let hint = did_you_mean(text, known.iter().copied());
            let keys = known.join(", ");
            let message = format!("unknown key `{text}`{hint} (known here: {keys})");
            return Err((key.span().start, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::runner::platform::Access;

    fn variable(name: &str) -> Option<String> {
        match name {
            "BUILD" => Some("/elsewhere/serve".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn config(text: &str) -> Result<Config, String> {
        parse(
            text,
            Path::new("harmony.toml"),
            Path::new("/root"),
            &variable,
        )
        .map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_expanded_and_paths_made_absolute() {
        let config = config(
            "features = \"f\"\n[limits]\nstep = 0.5\n[platforms.zig]\ncommand = [\"bin/zig\", \"-x\", \"a/b\"]\n\
             env = { K = \"${EMPTY:-v}\" }\n[platforms.cpp]\ncommand = [\"${BUILD:-target/cpp}\"]\n\
             setup = { command = [\"make\"], product = \"target/cpp\" }\n\
             [platforms.csharp]\ncommand = [\"${CS}\"]\noptional = true\n",
        )
        .unwrap();
        assert_eq!(config.features, Path::new("/root/f"));
        assert_eq!(config.limits.step, Duration::from_millis(500));
        assert_eq!(config.limits.start, Duration::from_secs(20));
        let names: Vec<_> = config.platforms.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["zig", "cpp", "csharp"]);
        let [zig, cpp, csharp] = config.platforms.as_slice() else {
            panic!()
        };
        assert_eq!(
            zig.access,
            Ok(Access::Command(vec![
                "/root/bin/zig".into(),
                "-x".into(),
                "a/b".into()
            ]))
        );
        assert_eq!(zig.env["K"], "v");
        assert_eq!(zig.missing(), Some("/root/bin/zig does not exist".into()));
        let elsewhere = Access::Command(vec!["/elsewhere/serve".into()]);
        assert_eq!(cpp.access, Ok(elsewhere));
        assert_eq!(
            cpp.needed_setup(),
            None,
            "the command starts something else"
        );
        assert_eq!(csharp.missing(), Some("the variable CS is not set".into()));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            (
                "\nfeature = \"f\"\n",
                "harmony.toml:2: unknown key `feature`; did you mean `features`? (known here: features,",
            ),
            (
                "[platforms.a]\ncommand = [\"x\"]\ncomand = 1\n",
                "harmony.toml:3: unknown key `comand`; did you mean `command`?",
            ),
            (
                "[platforms.a]\ncommand = [\"x\"]\n[platforms.a.setup]\ncommand=[\"m\"]\nproducts = 1\n",
                "harmony.toml:5: unknown key `products`; did you mean `product`?",
            ),
            (
                "[scale]\nbenchmark = 2\n",
                "scale.benchmark: expected a factor above 0, at most 1",
            ),
            (
                "[scale]\nlong-running-seconds = 0\n",
                "scale.long-running-seconds: expected a time like 90",
            ),
            ("jobs = 0\n", "harmony.toml:1: invalid value: integer `0`"),
            (
                "keep-runs = 0\n",
                "harmony.toml:1: invalid value: integer `0`",
            ),
            (
                "[sandbox]\nsize = 1\n",
                "harmony.toml:2: unknown key `size` (known here: shm-size)",
            ),
            (
                "[limits]\nstp = 1\n",
                "harmony.toml:2: unknown key `stp`; did you mean `step`?",
            ),
            (
                "[limits]\nstep = -1\n",
                "limits.step: -1 is no number of seconds",
            ),
            (
                "[platforms.a]\n",
                "platform a: either `command` or `url` is missing",
            ),
            (
                "[platforms.a]\nurl = \"ws://localhost:1\"\ncommand = [\"x\"]\n",
                "platform a: `url` and `command` exclude each other",
            ),
            (
                "[platforms.a]\nurl = \"ws://localhost:1\"\nenv = {}\n",
                "platform a: `url` and `env` exclude each other",
            ),
            (
                "[platforms.a]\nurl = \"ws://localhost:1\"\nsetup = { command = [\"x\"], product = \"y\" }\n",
                "platform a: `url` and `setup` exclude each other",
            ),
            (
                "[platforms.a]\nurl = \"localhost:1\"\n",
                "platform a: `url`: expected something like ws://127.0.0.1:7700, found \"localhost:1\"",
            ),
            (
                "[platforms.a]\nurl = \"wss://localhost:1\"\noptional = true\n",
                "(wss is not spoken)",
            ),
            (
                "[platforms.a]\nurl = \"${NONE}\"\n",
                "platform a: the variable NONE is not set",
            ),
            (
                "[platforms.a]\ncommand = \"x\"\n",
                "harmony.toml:2: invalid type: string",
            ),
            (
                "[platforms.a]\ncommand = []\n",
                "platform a: `command` is empty",
            ),
            (
                "[platforms.a]\ncommand = [\"x\"]\nfaulty = []\n",
                "platform a: `faulty` is empty",
            ),
            (
                "[platforms.a]\ncommand = [\"${NONE}\"]\n",
                "platform a: the variable NONE is not set",
            ),
            (
                "[platforms.a]\ncommand = [\"${NONE\"]\n",
                "`${` without `}`",
            ),
            (
                "[platforms.a_b]\ncommand = [\"x\"]\n",
                "harmony.toml:1: `a_b` cannot name a platform",
            ),
            (
                "[platforms.all]\ncommand = [\"x\"]\n",
                "`all` cannot name a platform",
            ),
            (
                "[platforms.a]\ncommand = [\"x\"]\nleaves = [\"[\"]\n",
                "leaves: error parsing glob",
            ),
            ("features = \n", "harmony.toml:1: "),
        ] {
            let message = config(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn the_file_is_found_above() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "").unwrap();
        assert_eq!(find(&deep), Ok(folder.path().join(FILE_NAME)));
        assert!(find(Path::new("/")).unwrap_err().contains("--config"));
    }
}
