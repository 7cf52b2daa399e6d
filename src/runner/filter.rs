//! Which scenarios and combinations the user asked for.

use gherkin::tagexpr::TagOperation;
use regex::Regex;

use super::combination::Combination;
use super::nearest::did_you_mean;
use super::scenario::{Scenario, ScenarioId};

/// What is to be run: scenarios that fit one of the ids (if any), the tags and the name, on every
/// combination listed (all, if none is).
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Scenario ids; empty for all.
    pub ids: Vec<IdPattern>,
    /// A tag expression.
    pub tags: Option<TagOperation>,
    /// A regular expression that the scenario's name contains.
    pub name: Option<Regex>,
    /// Combinations; empty for all.
    pub combinations: Vec<Combination>,
}

/// A set of scenario ids: `13.1`, `13.*`, `13`, `1.1-1.4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPattern {
    /// As it was typed.
    pub text: String,
    first: (u32, u32),
    last: (u32, u32),
    /// The number within any feature, for `*.1`.
    any_feature: bool,
    row: Option<u32>,
}

impl IdPattern {
    /// Reads one id, wildcard or range.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<IdPattern, String> {
        let bad = || format!("`{text}` is no scenario id: expected 13.1, 13.*, 13 or 1.1-1.4");
        let (span, row) = match text.split_once('#') {
            Some((span, row)) => (span, Some(row.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let (first, last) = span.split_once('-').unwrap_or((span, span));
        let (low, any_first) = bound(first, 0).ok_or_else(bad)?;
        let (high, any_last) = bound(last, u32::MAX).ok_or_else(bad)?;
        if any_first != any_last {
            return Err(format!(
                "the range `{text}` has one end in any feature; an example: *.1-*.3"
            ));
        }
        let is_empty = match any_first {
            true => low.1 > high.1,
            false => low > high,
        };
        if is_empty {
            return Err(format!("the range `{text}` is empty"));
        }
        Ok(IdPattern {
            text: text.to_owned(),
            first: low,
            last: high,
            any_feature: any_first,
            row,
        })
    }

    /// Whether `id` belongs to the set.
    pub fn matches(&self, id: ScenarioId) -> bool {
        let within = if self.any_feature {
            (self.first.1..=self.last.1).contains(&id.number)
        } else {
            (self.first..=self.last).contains(&(id.feature, id.number))
        };
        within && self.row.is_none_or(|row| row == id.row)
    }
}

/// One end of a range, and whether its feature is `*`. `open` stands for a missing number.
fn bound(text: &str, open: u32) -> Option<((u32, u32), bool)> {
    let part = |text: &str| match text {
        "*" => Some(open),
        digits => digits.parse().ok(),
    };
    let (feature, number) = text.split_once('.').unwrap_or((text, "*"));
    Some(((part(feature)?, part(number)?), feature == "*"))
}

/// Whether a positional argument has the shape of scenario ids, rather than of a combination.
pub fn looks_like_ids(argument: &str) -> bool {
    argument.starts_with(|c: char| c.is_ascii_digit()) || argument.starts_with("*.")
}

impl Filter {
    /// Reads what stands on the command line: positional arguments, `--tags`, `--name`.
    ///
    /// # Errors
    ///
    /// What is wrong with which argument.
    pub fn parse(
        arguments: &[String],
        tags: Option<&str>,
        name: Option<&str>,
        platforms: &[&str],
    ) -> Result<Filter, String> {
        let mut filter = Filter::default();
        for argument in arguments {
            if looks_like_ids(argument) {
                for id in argument.split(',') {
                    filter.ids.push(IdPattern::parse(id)?);
                }
            } else {
                let combination = Combination::parse(argument, platforms)?;
                filter.combinations.push(combination);
            }
        }
        let read_tags = |text: &str| {
            text.parse::<TagOperation>().map_err(|error| {
                format!("--tags `{text}`: {error}\nan example: --tags \"@linux and not @stress\"")
            })
        };
        filter.tags = tags.map(read_tags).transpose()?;
        let read_name =
            |text: &str| Regex::new(text).map_err(|error| format!("--name `{text}`: {error}"));
        filter.name = name.map(read_name).transpose()?;
        Ok(filter)
    }

    /// Whether a scenario is meant.
    pub fn selects(&self, scenario: &Scenario) -> bool {
        let by_id = self.ids.is_empty() || self.ids.iter().any(|p| p.matches(scenario.id));
        by_id
            && self
                .tags
                .as_ref()
                .is_none_or(|tags| holds(tags, &scenario.tags))
            && self
                .name
                .as_ref()
                .is_none_or(|name| name.is_match(&scenario.name))
    }

    /// An id that is meant but that no scenario has, said with what there is.
    pub fn unknown_id(&self, scenarios: &[Scenario]) -> Option<String> {
        let unknown = self
            .ids
            .iter()
            .find(|pattern| !scenarios.iter().any(|s| pattern.matches(s.id)))?;
        let ids: Vec<String> = scenarios.iter().map(|s| s.id.to_string()).collect();
        let hint = did_you_mean(&unknown.text, ids.iter().map(String::as_str));
        Some(format!(
            "no scenario has the id `{}`{hint}\nscenarios: {}",
            unknown.text,
            ids.join(", ")
        ))
    }
}

fn holds(expression: &TagOperation, tags: &[String]) -> bool {
    match expression {
        TagOperation::And(a, b) => holds(a, tags) && holds(b, tags),
        TagOperation::Or(a, b) => holds(a, tags) || holds(b, tags),
        TagOperation::Not(a) => !holds(a, tags),
        TagOperation::Tag(tag) => tags.contains(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn features() -> Vec<Scenario> {
        let mut found = Vec::new();
        for (feature, count) in [(1, 7), (2, 3), (13, 10)] {
            for number in 1..=count {
                let text = format!(
                    "@f{feature} @n{number}\nFeature: F\nScenario: {feature}.{number} - Name {number}\nGiven x\n"
                );
                let file = format!("{feature}.feature");
                found.extend(super::super::feature::parse(Path::new(&file), &text).unwrap());
            }
        }
        found
    }

    fn selected(arguments: &[&str], tags: Option<&str>, name: Option<&str>) -> Vec<String> {
        let arguments: Vec<String> = arguments.iter().map(|a| a.to_string()).collect();
        let filter = Filter::parse(&arguments, tags, name, &["rust"]).unwrap();
        let scenarios = features();
        let found = scenarios.iter().filter(|s| filter.selects(s));
        found.map(|s| s.id.to_string()).collect()
    }

    #[test]
    fn ids_take_wildcards_lists_and_ranges() {
        assert_eq!(selected(&["13.1"], None, None), ["13.1"]);
        assert_eq!(selected(&["13.*"], None, None).len(), 10);
        assert_eq!(selected(&["13"], None, None).len(), 10);
        assert_eq!(selected(&["*.1"], None, None), ["1.1", "2.1", "13.1"]);
        let both = ["1.2", "1.3", "2.2", "2.3", "13.2", "13.3"];
        assert_eq!(selected(&["*.2-*.3"], None, None), both);
        assert_eq!(selected(&["1.1,1.3"], None, None), ["1.1", "1.3"]);
        assert_eq!(selected(&["1.1-1.3"], None, None), ["1.1", "1.2", "1.3"]);
        assert_eq!(
            selected(&["1.6-2.2"], None, None),
            ["1.6", "1.7", "2.1", "2.2"]
        );
        assert_eq!(selected(&["1.1", "2.1"], None, None), ["1.1", "2.1"]);
        assert_eq!(selected(&["2", "rust"], None, None).len(), 3);
        assert_eq!(selected(&[], None, None).len(), 20);
    }

    #[test]
    fn a_row_of_an_outline_has_its_own_id() {
        let row = ScenarioId {
            feature: 4,
            number: 2,
            row: 3,
        };
        assert!(IdPattern::parse("4.2").unwrap().matches(row));
        assert!(IdPattern::parse("4.2#3").unwrap().matches(row));
        assert!(!IdPattern::parse("4.2#1").unwrap().matches(row));
    }

    #[test]
    fn tags_and_names_narrow_the_choice() {
        assert_eq!(selected(&[], Some("@f1 and not @n2"), None).len(), 6);
        assert_eq!(selected(&[], Some("@n1 or @n2"), None).len(), 6);
        assert_eq!(selected(&["13.*"], None, Some("Name 1$")), ["13.1"]);
    }

    #[test]
    fn bad_filters_say_why() {
        let error = |argument: &str, tags, name| {
            Filter::parse(&[argument.to_owned()], tags, name, &["rust"]).unwrap_err()
        };
        assert!(error("13.x", None, None).contains("`13.x` is no scenario id"));
        assert!(error("1.4-1.1", None, None).contains("empty"));
        assert!(error("*.4-*.1", None, None).contains("empty"));
        for half in ["*.1-3", "*.1-1.3", "1.1-*.3"] {
            let error = error(half, None, None);
            assert!(error.contains("one end in any feature"), "{half}: {error}");
        }
        assert!(error("rsut", None, None).contains("did you mean `rust`"));
        assert!(error("rust", Some("@a and"), None).contains("--tags `@a and`"));
        assert!(error("rust", None, Some("(")).contains("--name `(`"));
    }

    #[test]
    fn an_unknown_id_is_named() {
        let filter = Filter::parse(&["13.1,13.11".to_owned()], None, None, &[]).unwrap();
        let message = filter.unknown_id(&features()).unwrap();
        assert!(
            message.starts_with("no scenario has the id `13.11`; did you mean `13.1`?"),
            "{message}"
        );
    }
}
