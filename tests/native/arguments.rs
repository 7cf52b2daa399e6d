//! Which scenarios are asked for.

use cucumber::tag::Ext as _;
use gherkin::tagexpr::TagOperation;
use regex::Regex;

/// Runs the scenarios of `features/` in this process.
#[derive(Debug, clap::Parser)]
pub struct Arguments {
    /// Scenarios whose name fits this regular expression
    #[arg(long, short, value_name = "REGEX")]
    name: Option<Regex>,

    /// Scenarios with tags like these, for example "@linux and not @benchmark"
    #[arg(long, short, value_name = "EXPRESSION")]
    tags: Option<TagOperation>,

    /// Scenarios with one of these in their name
    #[arg(value_name = "TEXT")]
    parts: Vec<String>,

    // What `cargo test` hands to every test program.
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true, value_name = "N")]
    test_threads: Option<usize>,
    #[arg(long, short, hide = true)]
    quiet: bool,
}

impl Arguments {
    /// Whether a scenario is asked for.
    pub fn choose(&self, name: &str, tags: &[String]) -> bool {
        self.name.as_ref().is_none_or(|regex| regex.is_match(name))
            && self.tags.as_ref().is_none_or(|wanted| wanted.eval(tags))
            && (self.parts.is_empty() || self.parts.iter().any(|part| name.contains(part)))
    }

    /// Whether it is no error if no scenario is chosen: a word meant for other tests than these
    /// reaches this program too.
    pub fn may_match_nothing(&self) -> bool {
        !self.parts.is_empty() && self.name.is_none() && self.tags.is_none()
    }
}
