//! The page: a run to look at in a browser, in one file that needs nothing beside it.
//!
//! What its head says is written here (`head`, `summary`, `legend`) and can be read without any
//! script. Everything else is drawn by the script in `templates/report` of the `data` that the page
//! carries; what a script puts into the page it puts there as text.

mod data;
mod head;
mod legend;
mod logs;
mod summary;

use askama::Template;

use self::head::{Fact, Verdict};
use self::legend::Meaning;
use self::summary::Summary;
use crate::runner::record::Record;
use crate::runner::report::comparison::plain;

/// Reads the data, knows the state and the filters; draws grid, matrix and details; ties them together.
const SCRIPTS: [&str; 5] = [
    include_str!("../../../../templates/report/state.js"),
    include_str!("../../../../templates/report/views.js"),
    include_str!("../../../../templates/report/execution.js"),
    include_str!("../../../../templates/report/details.js"),
    include_str!("../../../../templates/report/page.js"),
];

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    run: &'a str,
    shortcoming: Option<String>,
    verdict: Verdict,
    facts: Vec<Fact>,
    warnings: &'a [String],
    /// What is different from a run before, where there is one.
    comparison: Vec<String>,
    summary: Summary,
    legend: Vec<Meaning>,
    repeat: u32,
    style: &'static str,
    scripts: String,
    data: String,
}

/// Makes the report.
pub fn render(record: &Record) -> String {
    let page = Page {
        run: &record.header.run,
        shortcoming: record.shortcoming(),
        verdict: Verdict::of(record),
        facts: head::facts(record),
        warnings: &record.warnings,
        comparison: record.comparison.as_ref().map_or_else(Vec::new, plain),
        summary: Summary::of(record),
        legend: legend::meanings(),
        repeat: record.header.repeat,
        style: include_str!("../../../../templates/report/page.css"),
        scripts: SCRIPTS.concat(),
        data: data::island(record),
    };
    let text = page.render();
    text.expect("text that is written to memory cannot fail to be")
}
