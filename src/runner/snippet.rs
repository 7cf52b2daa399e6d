//! A step definition to begin with, for a step that nobody defines yet.

use std::sync::LazyLock;

use regex::Regex;

use super::scenario::Step;

/// A Rust step definition for `step`: quoted words and numbers in quotes become arguments.
pub fn snippet(step: &Step) -> String {
    static QUOTED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"'([^']*)'").expect("a constant"));
    let mut pattern = String::new();
    let mut arguments = String::new();
    let mut end = 0;
    for found in QUOTED.captures_iter(&step.text) {
        let whole = found.get_match();
        pattern.push_str(&regex::escape(&step.text[end..whole.start()]));
        let number = found[1].parse::<u64>().is_ok();
        let (group, kind) = match number {
            true => (r"'(\d+)'", "u64"),
            false => ("'([^']+)'", "String"),
        };
        pattern.push_str(group);
        let count = arguments.matches(',').count() + 1;
        arguments.push_str(&format!(", argument{count}: {kind}"));
        end = whole.end();
    }
    pattern.push_str(&regex::escape(&step.text[end..]));
    let kind = step.kind.as_str().to_lowercase();
    let name = function_name(&QUOTED.replace_all(&step.text, " "));
    format!(
        "#[{kind}(regex = r\"^{pattern}$\")]\nasync fn {name}(world: &mut World{arguments}) {{\n    todo!()\n}}"
    )
}

fn function_name(text: &str) -> String {
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty() && *word != "the" && *word != "process")
        .map(str::to_lowercase)
        .collect();
    let name = words.join("_");
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => name,
        false => format!("step_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::message::StepType;

    #[test]
    fn quoted_words_become_arguments() {
        let step = Step {
            kind: StepType::When,
            text: "the 'client' process waits (again) for '5' seconds".into(),
            table: None,
            doc_string: None,
            line: 1,
        };
        assert_eq!(
            snippet(&step),
            "#[when(regex = r\"^the '([^']+)' process waits \\(again\\) for '(\\d+)' seconds$\")]\n\
             async fn waits_again_for_seconds(world: &mut World, argument1: String, argument2: u64) {\n    \
             todo!()\n}"
        );
    }
}
