//! A platform: a language or implementation with a step server, and how to get to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jsonrpsee::client_transport::ws::Url;
use serde::Deserialize;

use super::snippet::Language;

/// A language or implementation with a step server.
#[derive(Debug, Clone, PartialEq)]
pub struct Platform {
    /// Its name in combinations.
    pub name: String,
    /// How its step server is reached, or why it is not.
    pub access: Result<Access, String>,
    /// The same step server with faults built in, if there is one.
    pub faulty: Option<Vec<String>>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Environment variables set for it.
    pub env: BTreeMap<String, String>,
    /// File names (globs) in `/dev/shm` and the lock folder that it is known to leave behind,
    /// whatever it does.
    pub leaves: Vec<String>,
    /// The same for single roles, by the role's name.
    pub leaves_as: BTreeMap<String, Vec<String>>,
    /// What makes it ready to be started.
    pub setup: Option<Setup>,
    /// Whether a run may do without it.
    pub optional: bool,
    /// What its step definitions are written in, where that is known.
    pub language: Option<Language>,
}

/// How a step server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// By starting one: the program and its arguments.
    Command(Vec<String>),
    /// By connecting to one that somebody else has started.
    Url(String),
}

/// The command that makes a platform ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Globs of the files that it depends on, relative to the root.
    pub inputs: Vec<String>,
    /// The file that it makes. Where the platform's command starts something else, there is
    /// nothing to set up.
    pub product: PathBuf,
}

impl Platform {
    /// What it is known to leave behind when it plays `role`.
    pub fn leaves_of(&self, role: &str) -> impl Iterator<Item = &String> {
        let own = self.leaves_as.get(role).into_iter().flatten();
        self.leaves.iter().chain(own)
    }

    /// The set-up that its command depends on.
    pub fn needed_setup(&self) -> Option<&Setup> {
        let setup = self.setup.as_ref()?;
        match &self.access {
            Ok(Access::Command(command)) => {
                (Path::new(command.first()?) == setup.product).then_some(setup)
            }
            _ => None,
        }
    }

    /// Why it cannot be started, as far as can be seen without a set-up.
    pub fn missing(&self) -> Option<String> {
        let command = match &self.access {
            Ok(Access::Command(command)) => command,
            Ok(Access::Url(_)) => return None,
            Err(why) => return Some(why.clone()),
        };
        let program = Path::new(command.first()?);
        let absent = program.is_absolute() && !program.exists() && self.needed_setup().is_none();
        absent.then(|| format!("{} does not exist", program.display()))
    }

    /// Where its step server is, if the runner does not start it.
    pub fn url(&self) -> Option<&str> {
        match &self.access {
            Ok(Access::Url(url)) => Some(url),
            _ => None,
        }
    }
}

/// A platform as the file has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RawPlatform {
    command: Option<Vec<String>>,
    url: Option<String>,
    faulty: Option<Vec<String>>,
    cwd: Option<String>,
    env: Option<BTreeMap<String, String>>,
    #[serde(default)]
    leaves: Vec<String>,
    #[serde(default)]
    leaves_as: BTreeMap<String, Vec<String>>,
    setup: Option<RawSetup>,
    #[serde(default)]
    optional: bool,
    language: Option<Language>,
}

/// A set-up as the file has it.
#[derive(Debug, Deserialize)]
pub struct RawSetup {
    command: Vec<String>,
    #[serde(default)]
    inputs: Vec<String>,
    product: String,
}

impl RawPlatform {
    /// The platform that is meant: variables put in, paths made absolute below `root`.
    ///
    /// # Errors
    ///
    /// What is wrong with it; of an optional platform's `command`, only when it is used.
    pub fn resolve(
        self,
        name: &str,
        root: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Platform, String> {
        let access = self.access(root, variable)?;
        if self.faulty.as_ref().is_some_and(Vec::is_empty) {
            return Err("`faulty` is empty".to_owned());
        }
        if !self.optional {
            access.clone()?;
        }
        let setup = match self.setup {
            None => None,
            Some(raw) if raw.command.is_empty() => {
                return Err("`setup.command` is empty".to_owned());
            }
            Some(raw) => Some(Setup {
                command: expand_command(&raw.command, root, variable)?,
                product: root.join(expand(&raw.product, variable)?),
                inputs: raw.inputs,
            }),
        };
        let faulty = self.faulty.as_deref();
        let faulty = faulty.map(|command| expand_command(command, root, variable));
        let mut env = BTreeMap::new();
        for (key, value) in self.env.into_iter().flatten() {
            env.insert(key, expand(&value, variable)?);
        }
        for glob in self.leaves.iter().chain(self.leaves_as.values().flatten()) {
            globset::Glob::new(glob).map_err(|error| format!("leaves: {error}"))?;
        }
        Ok(Platform {
            name: name.to_owned(),
            access,
            faulty: faulty.transpose()?,
            cwd: root.join(expand(self.cwd.as_deref().unwrap_or("."), variable)?),
            env,
            leaves: self.leaves,
            leaves_as: self.leaves_as,
            setup,
            optional: self.optional,
            language: self.language.or_else(|| Language::of(name)),
        })
    }
}

impl RawPlatform {
    /// How it is reached; what only its variables are wrong about may not matter.
    fn access(
        &self,
        root: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Result<Access, String>, String> {
        let of_command = [
            ("command", self.command.is_some()),
            ("faulty", self.faulty.is_some()),
            ("cwd", self.cwd.is_some()),
            ("env", self.env.is_some()),
            ("setup", self.setup.is_some()),
        ];
        let Some(url) = &self.url else {
            return match self.command.as_deref() {
                None => Err("either `command` or `url` is missing".to_owned()),
                Some([]) => Err("`command` is empty".to_owned()),
                Some(command) => Ok(expand_command(command, root, variable).map(Access::Command)),
            };
        };
        if let Some((key, _)) = of_command.iter().find(|(_, is_there)| *is_there) {
            return Err(format!(
                "`url` and `{key}` exclude each other: what is at a URL is not started by the runner"
            ));
        }
        match expand(url, variable) {
            Ok(url) => check_url(&url).map(|()| Ok(Access::Url(url))),
            Err(why) => Ok(Err(why)),
        }
    }
}

fn check_url(url: &str) -> Result<(), String> {
    let wrong = |why: &dyn std::fmt::Display| {
        format!("`url`: expected something like ws://127.0.0.1:7700, found {url:?} ({why})")
    };
    let parsed = Url::parse(url).map_err(|error| wrong(&error))?;
    match (parsed.scheme(), parsed.host_str()) {
        ("ws", Some(_)) => Ok(()),
        ("ws", None) => Err(wrong(&"it names no host")),
        (scheme, _) => Err(wrong(&format!("{scheme} is not spoken"))),
    }
}

/// Expands the variables of a command; a program given as a path is relative to the root.
fn expand_command(
    command: &[String],
    root: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, String> {
    let expanded: Result<Vec<_>, _> = command.iter().map(|word| expand(word, variable)).collect();
    let mut expanded = expanded?;
    if expanded[0].contains('/') {
        expanded[0] = root.join(&expanded[0]).to_string_lossy().into_owned();
    }
    Ok(expanded)
}

/// Puts in the values of `${VAR}` and `${VAR:-default}`. A variable that is empty counts as not
/// set, as in a shell's `:-`.
///
/// # Errors
///
/// A variable without value and default, or an open brace that is not closed.
pub fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let (inner, after) = behind
            .split_once('}')
            .ok_or_else(|| format!("`{text}`: `${{` without `}}`"))?;
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let value = variable(name).filter(|value| !value.is_empty());
        expanded.push_str(before);
        match (value, default) {
            (Some(value), _) => expanded.push_str(&value),
            (None, Some(default)) => expanded.push_str(default),
            (None, None) => return Err(format!("the variable {name} is not set")),
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "BUILD" => Some("/elsewhere/serve".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn resolved(text: &str) -> Platform {
        let raw: RawPlatform = toml::from_str(text).unwrap();
        raw.resolve("p", Path::new("/root"), &variable).unwrap()
    }

    #[test]
    fn variables_are_put_in() {
        for (text, expected) in [
            ("a${BUILD}b", Ok("a/elsewhere/serveb")),
            ("${NONE:-x}${EMPTY:-y}", Ok("xy")),
            ("$HOME", Ok("$HOME")),
            ("${EMPTY}", Err("the variable EMPTY is not set")),
            ("${BUILD", Err("`${BUILD`: `${` without `}`")),
        ] {
            let found = expand(text, &variable);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn only_the_program_is_a_path() {
        let platform = resolved("command = [\"bin/zig\", \"a/b\"]");
        let command = |words: &[&str]| {
            let words = words.iter().map(ToString::to_string);
            Ok(Access::Command(words.collect()))
        };
        assert_eq!(platform.access, command(&["/root/bin/zig", "a/b"]));
        assert_eq!(
            platform.missing(),
            Some("/root/bin/zig does not exist".into())
        );
        let platform = resolved("command = [\"zig\"]");
        assert_eq!(platform.access, command(&["zig"]));
        assert_eq!(
            platform.missing(),
            None,
            "it is looked for in PATH when it is started"
        );
    }

    #[test]
    fn a_setup_counts_only_for_what_it_makes() {
        let setup = "setup = { command = [\"make\"], product = \"target/cpp\" }";
        let own = resolved(&format!("command = [\"${{NONE:-target/cpp}}\"]\n{setup}"));
        assert!(own.needed_setup().is_some());
        assert_eq!(own.missing(), None, "the set-up makes it");
        let other = resolved(&format!("command = [\"${{BUILD:-target/cpp}}\"]\n{setup}"));
        assert_eq!(other.needed_setup(), None);
        assert_eq!(
            other.missing(),
            Some("/elsewhere/serve does not exist".into())
        );
    }

    #[test]
    fn an_optional_platform_may_lack_its_variable() {
        let platform = resolved("command = [\"${NONE}\"]\noptional = true");
        assert_eq!(
            platform.missing(),
            Some("the variable NONE is not set".into())
        );
    }

    #[test]
    fn a_url_takes_the_place_of_a_command() {
        let platform = resolved("url = \"ws://${NONE:-127.0.0.1}:7700\"\nleaves = [\"a\"]");
        assert_eq!(platform.url(), Some("ws://127.0.0.1:7700"));
        assert_eq!(platform.missing(), None);
        let platform = resolved("url = \"ws://${NONE}:1\"\noptional = true");
        let missing = platform.missing();
        assert_eq!(missing.as_deref(), Some("the variable NONE is not set"));
        assert_eq!(platform.url(), None);
    }

    #[test]
    fn a_language_is_named_or_is_the_name() {
        let language = |name: &str, text: &str| {
            let raw: RawPlatform = toml::from_str(text)?;
            let platform = raw.resolve(name, Path::new("/root"), &variable);
            Ok::<_, toml::de::Error>(platform.unwrap().language)
        };
        let text = "command = [\"x\"]";
        assert_eq!(language("cpp", text), Ok(Some(Language::Cpp)));
        assert_eq!(language("mine", text), Ok(None));
        for (word, named) in [
            ("rust", Language::Rust),
            ("python", Language::Python),
            ("cpp", Language::Cpp),
            ("csharp", Language::CSharp),
        ] {
            let text = format!("{text}\nlanguage = \"{word}\"");
            assert_eq!(language("mine", &text), Ok(Some(named)));
        }
        let text = format!("{text}\nlanguage = \"ruby\"");
        let error = language("mine", &text).unwrap_err().to_string();
        assert!(error.contains("expected one of `rust`"), "{error}");
    }

    #[test]
    fn leaves_belong_to_every_role_or_to_one() {
        let platform =
            resolved("command = [\"x\"]\nleaves = [\"a\"]\nleaves-as = { reader = [\"b\"] }");
        let of = |role| platform.leaves_of(role).cloned().collect::<Vec<_>>();
        assert_eq!(of("reader"), ["a", "b"]);
        assert_eq!(of("writer"), ["a"]);
    }
}
