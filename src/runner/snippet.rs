//! A step definition to begin with, for a step that nobody defines yet.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::scenario::Step;
use crate::rpc::message::StepPattern;

/// What the step definitions of a platform are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// With the macros of the crate `cucumber`.
    Rust,
    /// With the decorators of the package `zerobuffer-ipc`.
    Python,
    /// With the registry of `peers/cpp`.
    Cpp,
    /// With the attributes of Reqnroll.
    CSharp,
}

impl Language {
    /// The one that a platform's name says.
    pub fn of(platform: &str) -> Option<Language> {
        match platform {
            "rust" => Some(Language::Rust),
            "python" => Some(Language::Python),
            "cpp" => Some(Language::Cpp),
            "csharp" => Some(Language::CSharp),
            _ => None,
        }
    }
}

/// A step definition for `step`: quoted words and numbers in quotes become arguments. Where the
/// language is not known, it is what `discover` has to tell.
pub fn snippet(step: &Step, language: Option<Language>) -> String {
    let outline = Outline::of(&step.text);
    let keyword = step.kind.as_str();
    match language {
        Some(Language::Rust) => rust(keyword, &outline),
        Some(Language::Python) => python(keyword, &outline),
        Some(Language::Cpp) => cpp(keyword, &step.text),
        Some(Language::CSharp) => csharp(keyword, &outline),
        None => told(keyword, &outline),
    }
}

fn rust(keyword: &str, outline: &Outline) -> String {
    let (keyword, pattern) = (keyword.to_lowercase(), &outline.pattern);
    let name = outline.function_name();
    let arguments = outline.arguments(|argument, is_number| match is_number {
        true => format!(", {argument}: u64"),
        false => format!(", {argument}: String"),
    });
    let arguments = arguments.concat();
    format!(
        "#[{keyword}(regex = r\"^{pattern}$\")]\n\
         async fn {name}(world: &mut World{arguments}) {{\n    todo!()\n}}"
    )
}

fn python(keyword: &str, outline: &Outline) -> String {
    let (keyword, pattern) = (keyword.to_lowercase(), &outline.pattern);
    let name = outline.function_name();
    let arguments = outline.arguments(|argument, _| format!(", {argument}: str"));
    let arguments = arguments.concat();
    // The package puts the anchors there itself.
    format!(
        "@{keyword}(r\"{pattern}\")\n\
         async def {name}(self{arguments}) -> None:\n    raise NotImplementedError"
    )
}

fn cpp(keyword: &str, text: &str) -> String {
    // What the registry itself puts before every phrase.
    static ROLE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:the|a|a new|a second) '[^']+' process ").expect("a constant")
    });
    let outline = Outline::of(&ROLE.replace(text, ""));
    let (keyword, pattern) = (keyword.to_lowercase(), &outline.pattern);
    let arguments = (0..).zip(&outline.are_numbers);
    let arguments = arguments.map(|(index, is_number)| match is_number {
        true => format!(", a.number({index})"),
        false => format!(", a.text({index})"),
    });
    let arguments: String = arguments.collect();
    format!(
        "registry.add({{{keyword}}}, R\"({pattern})\", [](World& world, const auto& a) {{\n    \
         throw StepFailure(\"not written yet\");  // a.role{arguments}\n}});"
    )
}

fn csharp(keyword: &str, outline: &Outline) -> String {
    let pattern = outline.pattern.replace('"', "\"\"");
    let words = outline.words.iter().map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    let name: String = words.collect();
    let arguments = outline.arguments(|argument, is_number| match is_number {
        true => format!("ulong {argument}"),
        false => format!("string {argument}"),
    });
    let arguments = arguments.join(", ");
    format!(
        "[{keyword}(@\"^{pattern}$\")]\n\
         public void {name}({arguments})\n{{\n    throw new NotImplementedException();\n}}"
    )
}

fn told(keyword: &str, outline: &Outline) -> String {
    let told = StepPattern {
        kind: keyword.to_lowercase(),
        pattern: format!("^{}$", outline.pattern),
    };
    serde_json::to_string(&told).expect("strings can be written as JSON")
}

/// What a definition of a step consists of, in any language.
struct Outline {
    /// A regular expression, without anchors.
    pattern: String,
    /// For each of its groups, whether only digits fit.
    are_numbers: Vec<bool>,
    /// What a function may be named after.
    words: Vec<String>,
}

impl Outline {
    fn of(text: &str) -> Outline {
        static QUOTED: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"'([^']*)'").expect("a constant"));
        let mut pattern = String::new();
        let mut are_numbers = Vec::new();
        let mut end = 0;
        for found in QUOTED.captures_iter(text) {
            let whole = found.get_match();
            pattern.push_str(&regex::escape(&text[end..whole.start()]));
            let is_number = found[1].parse::<u64>().is_ok();
            pattern.push_str(match is_number {
                true => r"'(\d+)'",
                false => "'([^']+)'",
            });
            are_numbers.push(is_number);
            end = whole.end();
        }
        pattern.push_str(&regex::escape(&text[end..]));
        let plain = QUOTED.replace_all(text, " ");
        let words = plain
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty() && *word != "the" && *word != "process")
            .map(str::to_lowercase);
        let mut words: Vec<String> = words.collect();
        if !words
            .first()
            .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()))
        {
            words.insert(0, "step".to_owned());
        }
        Outline {
            pattern,
            are_numbers,
            words,
        }
    }

    fn function_name(&self) -> String {
        self.words.join("_")
    }

    /// The arguments of a function, each as `write` has it of its name and whether it is a number.
    fn arguments(&self, write: impl Fn(String, bool) -> String) -> Vec<String> {
        let numbered = (1..).zip(&self.are_numbers);
        numbered
            .map(|(number, is_number)| write(format!("argument{number}"), *is_number))
            .collect()
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
        for (language, expected) in [
            (
                Some(Language::Rust),
                "#[when(regex = r\"^the '([^']+)' process waits \\(again\\) for '(\\d+)' seconds$\")]\n\
                 async fn waits_again_for_seconds(world: &mut World, argument1: String, argument2: u64) {\n    \
                 todo!()\n}",
            ),
            (
                Some(Language::Python),
                "@when(r\"the '([^']+)' process waits \\(again\\) for '(\\d+)' seconds\")\n\
                 async def waits_again_for_seconds(self, argument1: str, argument2: str) -> None:\n    \
                 raise NotImplementedError",
            ),
            (
                Some(Language::Cpp),
                "registry.add({when}, R\"(waits \\(again\\) for '(\\d+)' seconds)\", \
                 [](World& world, const auto& a) {\n    \
                 throw StepFailure(\"not written yet\");  // a.role, a.number(0)\n});",
            ),
            (
                Some(Language::CSharp),
                "[When(@\"^the '([^']+)' process waits \\(again\\) for '(\\d+)' seconds$\")]\n\
                 public void WaitsAgainForSeconds(string argument1, ulong argument2)\n{\n    \
                 throw new NotImplementedException();\n}",
            ),
            (
                None,
                "{\"type\":\"when\",\"pattern\":\
                 \"^the '([^']+)' process waits \\\\(again\\\\) for '(\\\\d+)' seconds$\"}",
            ),
        ] {
            assert_eq!(snippet(&step, language), expected, "{language:?}");
        }
    }

    #[test]
    fn every_function_has_a_name() {
        for (text, name) in [("'5' 'x'", "step"), ("2 frames", "step_2_frames")] {
            assert_eq!(Outline::of(text).function_name(), name);
        }
    }
}
