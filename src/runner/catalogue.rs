//! The step definitions of a platform, as its `discover` tells them.
//!
//! Servers describe their steps in different ways: regular expressions (some in Python's
//! syntax), some with cucumber placeholders such as `{word}`, some with the type `unknown`, which
//! fits every keyword. By the contract a server looks for a step under the keyword asked for
//! first and then under the others; not every server does the second, so a definition under
//! another keyword counts, but as [`Fit::OtherKeyword`]: should the server then say that it does
//! not define the step, that is a step which is not supported, and not one that failed.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::scenario::Step;
use crate::rpc::message::{StepPattern, StepType};

/// The steps that a platform defines.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    definitions: Vec<Definition>,
    /// Patterns that could not be understood, with the reason.
    pub unreadable: Vec<String>,
}

#[derive(Debug, Clone)]
struct Definition {
    /// The keyword; `None` for any.
    kind: Option<StepType>,
    /// A step fits if one of these does.
    readings: Vec<Regex>,
}

/// How sure it is that a platform defines a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// No definition fits.
    None,
    /// No definition fits, but some could not be understood.
    CannotTell,
    /// A definition under another keyword fits.
    OtherKeyword,
    /// A definition under the step's own keyword fits.
    Own,
}

impl Catalogue {
    /// Takes in what `discover` answered.
    pub fn new(patterns: &[StepPattern]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for pattern in patterns {
            match readings(&pattern.pattern) {
                Ok(readings) => catalogue.definitions.push(Definition {
                    kind: StepType::from_keyword(&pattern.kind),
                    readings,
                }),
                Err(why) => catalogue.unreadable.push(why),
            }
        }
        catalogue
    }

    /// The number of definitions that were understood.
    pub fn len(&self) -> usize {
        self.definitions.len()
    }

    /// Whether no definition was understood.
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty()
    }

    /// How sure it is that `step` is defined.
    pub fn fit(&self, step: &Step) -> Fit {
        let fits = |definition: &&Definition| {
            definition
                .readings
                .iter()
                .any(|regex| regex.is_match(&step.text))
        };
        let found = self
            .definitions
            .iter()
            .filter(fits)
            .map(|definition| match definition.kind {
                Some(kind) if kind != step.kind => Fit::OtherKeyword,
                _ => Fit::Own,
            });
        let nothing = match self.unreadable.is_empty() {
            true => Fit::None,
            false => Fit::CannotTell,
        };
        found.max().unwrap_or(nothing)
    }

    /// Where in the text of `step` the values stand that its definition takes from it: the one
    /// under its own keyword, if there is one.
    pub fn values(&self, step: &Step) -> Vec<Range<usize>> {
        let own_first = |definition: &&Definition| definition.kind != Some(step.kind);
        let mut definitions: Vec<_> = self.definitions.iter().collect();
        definitions.sort_by_key(own_first);
        let readings = definitions.into_iter().flat_map(|d| &d.readings);
        let captures = readings
            .filter_map(|regex| regex.captures(&step.text))
            .next();
        let groups = captures
            .iter()
            .flat_map(|found| found.iter().skip(1).flatten());
        groups.map(|group| group.range()).collect()
    }
}

/// The ways to understand a pattern: as a regular expression; with placeholders also as plain
/// text around them.
fn readings(pattern: &str) -> Result<Vec<Regex>, String> {
    let whole = |text: &str| Regex::new(&format!("^(?:{text})$"));
    let unreadable = |error: regex::Error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default();
        format!("`{pattern}`: {last}")
    };
    if !PLACEHOLDER.is_match(pattern) {
        return whole(pattern).map(|regex| vec![regex]).map_err(unreadable);
    }
    let plain = whole(&fill_placeholders(pattern, regex::escape)).map_err(unreadable)?;
    let as_regex = whole(&fill_placeholders(pattern, str::to_owned)).ok();
    Ok(std::iter::once(plain).chain(as_regex).collect())
}

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{(word|string|int|float|double|byte|short|long|any|)\}").expect("a constant")
});

fn fill_placeholders(pattern: &str, text: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut end = 0;
    for found in PLACEHOLDER.captures_iter(pattern) {
        let whole = found.get_match();
        filled.push_str(&text(&pattern[end..whole.start()]));
        filled.push_str(match &found[1] {
            "word" => r"\S+",
            "string" => r#"(?:"[^"]*"|'[^']*')"#,
            "int" | "byte" | "short" | "long" => r"-?\d+",
            "float" | "double" => r"-?\d*\.?\d+",
            _ => ".*",
        });
        end = whole.end();
    }
    filled.push_str(&text(&pattern[end..]));
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(patterns: &[(&str, &str)], kind: StepType, text: &str) -> Fit {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|(kind, pattern)| StepPattern {
                kind: kind.to_string(),
                pattern: pattern.to_string(),
            })
            .collect();
        let step = Step {
            kind,
            text: text.to_owned(),
            table: None,
            doc_string: None,
            line: 1,
        };
        Catalogue::new(&patterns).fit(&step)
    }

    #[test]
    fn patterns_of_every_server_are_understood() {
        for (pattern, text, fits) in [
            (
                r"(?:the '(?P<process>[^']+)' process )?writes '(?P<n>\d+)' frames",
                "the 'writer' process writes '5' frames",
                true,
            ),
            (r"(?:the '([^']+)' process )?signals", "signals", true),
            (r"^reads one frame$", "reads one frame", true),
            (r"reads one", "reads one frame", false),
            (r"one|two", "one more", false),
            (
                "the {word} process creates buffer {string}",
                "the 'reader' process creates buffer 'a b'",
                true,
            ),
            (
                "the {word} process reads {int} frames (all)",
                "the 'reader' process reads 4 frames (all)",
                true,
            ),
            (
                r"the {word} process should (?:see|hear) {float} s",
                "the 'reader' process should hear 1.5 s",
                true,
            ),
            ("takes {int} ms", "takes many ms", false),
            (r"[a-z]{3}x", "abcx", true),
        ] {
            let found = fit(&[("when", pattern)], StepType::When, text);
            assert_eq!(found == Fit::Own, fits, "{pattern} {text}: {found:?}");
        }
    }

    #[test]
    fn the_keyword_counts_first() {
        let when = [("When", "it is")];
        assert_eq!(fit(&when, StepType::When, "it is"), Fit::Own);
        assert_eq!(fit(&when, StepType::Then, "it is"), Fit::OtherKeyword);
        assert_eq!(fit(&when, StepType::Then, "it was"), Fit::None);
        assert_eq!(
            fit(&[("unknown", "it is")], StepType::Then, "it is"),
            Fit::Own
        );
        let both = [("when", "it is"), ("then", "it .*")];
        assert_eq!(fit(&both, StepType::Then, "it is"), Fit::Own);
    }

    #[test]
    fn what_cannot_be_understood_leaves_it_open() {
        let look_around = [("when", "it (?=is)is"), ("when", "that")];
        assert_eq!(fit(&look_around, StepType::When, "it is"), Fit::CannotTell);
        assert_eq!(fit(&look_around, StepType::When, "that"), Fit::Own);
        let pattern = StepPattern {
            kind: "when".into(),
            pattern: "a(?!b)".into(),
        };
        let catalogue = Catalogue::new(&[pattern]);
        assert!(
            catalogue.unreadable[0].contains("look-around"),
            "{:?}",
            catalogue.unreadable
        );
    }
}
