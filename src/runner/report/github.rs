//! What GitHub Actions shows of a run: annotations at the lines of the feature files, and the summary
//! of a step.

use std::path::Path;

use super::comparison;
use super::failure::{Failure, details, failures, headline};
use super::line::{counted, seconds};
use super::matrix::Matrix;
use super::repetitions::grouped;
use crate::runner::outcome::Outcome;
use crate::runner::record::Record;

/// How long a summary may be, in bytes: GitHub shows nothing of one that is over 1 MiB.
const SUMMARY: usize = 900 * 1024;

/// The workflow commands that make annotations, a line each.
pub fn annotations(record: &Record) -> String {
    let mut text = String::new();
    if let Some(shortcoming) = record.shortcoming() {
        text.push_str(&command("error", &[("title", "harmony")], &shortcoming));
    }
    for failure in failures(record) {
        text.push_str(&annotation(record, failure));
    }
    for warning in &record.warnings {
        text.push_str(&command("warning", &[("title", "harmony")], warning));
    }
    text
}

fn annotation(record: &Record, failure: Failure<'_>) -> String {
    let report = failure.report;
    let (file, line) = report.info.place.rsplit_once(':').unwrap_or_default();
    let step = report
        .failed_step
        .as_ref()
        .map(|step| step.line.to_string());
    let line = step.as_deref().unwrap_or(line);
    let title = headline(report, record.header.repeat, failure.is_last);
    let kind = match failure.execution.outcome.is_green() {
        true => "warning",
        false => "error",
    };
    let properties = [("file", file), ("line", line), ("title", &title)];
    command(kind, &properties, told(record, &failure).trim_start())
}

/// The same words as on the terminal, and where the end of the execution is told nowhere else, that.
fn told(record: &Record, failure: &Failure<'_>) -> String {
    let header = &record.header;
    let mut lines = details(failure.report, &header.again, Path::new(&header.run));
    lines.extend(failure.later());
    lines.join("\n")
}

fn command(name: &str, properties: &[(&str, &str)], message: &str) -> String {
    let properties = properties.iter().map(|(key, value)| {
        format!(
            "{key}={}",
            escaped(value).replace(':', "%3A").replace(',', "%2C")
        )
    });
    let properties = properties.collect::<Vec<_>>().join(",");
    format!("::{name} {properties}::{}\n", escaped(message))
}

fn escaped(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

/// The summary of a step, in Markdown.
pub fn summary(record: &Record) -> String {
    let groups = grouped(record.executions.iter().map(|execution| &execution.report));
    let reports: Vec<_> = groups.iter().map(|group| group.worst).collect();
    let counts = counted(&reports).into_iter().map(|(_, words)| words);
    let counts = counts.collect::<Vec<_>>().join(", ");
    let mut text = format!("## Harmony: {counts} in {}\n\n", seconds(record.took()));
    if let Some(shortcoming) = record.shortcoming() {
        text.push_str(&format!("**{shortcoming}**\n\n"));
    }
    text.push_str(&table(&Matrix::new(&reports)));
    if let Some(comparison) = &record.comparison {
        let lines = comparison::plain(comparison);
        text.push_str(&format!("\n```text\n{}\n```\n", lines.join("\n")));
    }
    for warning in &record.warnings {
        text.push_str(&format!("\n> warning: {}\n", inline(warning)));
    }
    let failures = failures(record);
    let mut left = failures.len();
    for failure in failures {
        let block = block(record, failure);
        if text.len() + block.len() > SUMMARY {
            text.push_str(&format!("\nThere are {left} more failures.\n"));
            break;
        }
        text.push_str(&block);
        left -= 1;
    }
    text
}

fn table(matrix: &Matrix<'_>) -> String {
    let mut text = format!("| |{}|\n", matrix.columns.join("|"));
    text.push_str(&format!("|---|{}\n", ":-:|".repeat(matrix.columns.len())));
    for (id, cells) in &matrix.rows {
        let symbols = cells.iter().map(|cell| cell.map_or(' ', Outcome::symbol));
        let symbols: Vec<String> = symbols.map(String::from).collect();
        text.push_str(&format!("|{id}|{}|\n", symbols.join("|")));
    }
    format!("{text}\n{}\n", matrix.legend())
}

/// One failure, folded up.
fn block(record: &Record, failure: Failure<'_>) -> String {
    let Failure {
        report, is_last, ..
    } = failure;
    let title = inline(&headline(report, record.header.repeat, is_last));
    let told = told(record, &failure);
    // A fence has to be longer than every run of its character in the text.
    let runs = told.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or(0).max(2) + 1);
    format!("\n<details><summary>{title}</summary>\n\n{fence}text\n{told}\n{fence}\n\n</details>\n")
}

/// Text that is neither markup nor more than a line.
fn inline(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let text = text.replace('|', "\\|");
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_command_or_a_property_is_escaped() {
        let found = command(
            "error",
            &[("file", "a,b:c"), ("title", "5%\n")],
            "50%:\r\na,b",
        );
        let expected = "::error file=a%2Cb%3Ac,title=5%25%0A::50%25:%0D%0Aa,b\n";
        assert_eq!(found, expected);
    }
}
