//! Where every step of every scenario goes, written down to be read.
//!
//! A change of the features or of the routing shows as a change of the table. Read it before it is
//! committed.

use std::fmt::Write as _;
use std::path::Path;

use zerobuffer::runner::{feature, route};

const ANEW: &str = "write the table anew: ROUTING_TABLE=write cargo test --test runner_suite";

fn table(features: &Path) -> String {
    let mut table = String::new();
    for scenario in feature::read_folder(features).unwrap() {
        let routed = route::route(scenario);
        let (id, name) = (routed.scenario.id, &routed.scenario.name);
        writeln!(table, "{id} {name} ({})", routed.roles.join(", ")).unwrap();
        for step in &routed.steps {
            let mut to = step.to_string();
            if step.awaits_death {
                to.push_str(", which dies");
            }
            writeln!(table, "    {to:30} <- {}", step.step).unwrap();
        }
        let mortal: Vec<&str> = routed.mortal.iter().map(String::as_str).collect();
        if !mortal.is_empty() {
            writeln!(table, "    may die: {}", mortal.join(", ")).unwrap();
        }
    }
    table
}

#[test]
fn every_step_goes_where_the_table_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/fixtures/routing.txt");
    let found = table(&root.join("features"));
    if std::env::var("ROUTING_TABLE").is_ok_and(|what| what == "write") {
        std::fs::write(&file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        let place = format!("{}:{}", file.display(), number + 1);
        assert_eq!(found, expected, "{place}: if it is right so, {ANEW}");
    }
    let lines = [found, expected].map(|table| table.lines().count());
    assert_eq!(lines[0], lines[1], "if it is right so, {ANEW}");
}
