use super::*;

fn scenarios(text: &str) -> Vec<Scenario> {
    parse(Path::new("07-Some.feature"), text).unwrap()
}

fn error(text: &str) -> String {
    parse(Path::new("07-Some.feature"), text)
        .unwrap_err()
        .to_string()
}

#[test]
fn ids_come_from_the_name_or_the_file() {
    for (name, id, rest) in [
        ("13.1 - Basic", "13.1", "Basic"),
        ("Test 13.2 - Basic", "13.2", "Basic"),
        ("13.3 Basic", "13.3", "Basic"),
        ("13.4: Basic", "13.4", "Basic"),
        ("13.10", "13.10", ""),
        ("Basic 1.2", "7.1", "Basic 1.2"),
        ("1.2x", "7.1", "1.2x"),
    ] {
        let found = scenarios(&format!("Feature: F\nScenario: {name}\nGiven x\n"));
        assert_eq!(found[0].id.to_string(), id, "{name}");
        assert_eq!(found[0].name, rest, "{name}");
    }
}

#[test]
fn backgrounds_rules_and_tags_are_joined() {
    let found = scenarios(
        "@f\nFeature: F\nBackground:\nGiven b\n\n@s\nScenario: One\nWhen w\n\n@r @step-timeout(90)\nRule: R\n\
         Background:\nGiven rb\n\nScenario: Two\nThen t\nAnd a\n",
    );
    let text = |scenario: &Scenario| {
        let steps: Vec<_> = scenario.steps.iter().map(Step::to_string).collect();
        steps.join("; ")
    };
    assert_eq!(text(&found[0]), "Given b; When w");
    assert_eq!(found[0].tags, ["f", "s"]);
    assert_eq!(text(&found[1]), "Given b; Given rb; Then t; Then a");
    assert_eq!(found[1].step_timeout(), Some(90));
    assert_eq!(found[1].id.to_string(), "7.2");
}

#[test]
fn outlines_are_expanded_everywhere() {
    let found = scenarios(
        "Feature: F\nScenario Outline: 7.5 - Size <n>\nGiven a <n>\n| k | v |\n| <n> | <m> |\n\
         When w\n\"\"\"\ndoc <m>\n\"\"\"\n\n@big\nExamples:\n| n | m |\n| 1 | x |\n| 2 | y |\n",
    );
    assert_eq!(found.len(), 2);
    let row = &found[1];
    assert_eq!(
        (row.id.to_string().as_str(), row.name.as_str()),
        ("7.5#2", "Size 2")
    );
    assert_eq!(row.steps[0].text, "a 2");
    assert_eq!(
        row.steps[0].table,
        Some(vec![
            vec!["k".into(), "v".into()],
            vec!["2".into(), "y".into()]
        ])
    );
    assert_eq!(
        row.steps[1].doc_string.as_deref().map(str::trim),
        Some("doc y")
    );
    assert!(row.has_tag("big"));
}

#[test]
fn a_value_is_put_in_as_it_is() {
    let header = ["a".to_owned(), "b".to_owned()];
    let values = ["<b>".to_owned(), "2".to_owned()];
    for (text, filled) in [
        ("<a> and <b>", "<b> and 2"),
        ("<c> < <b", "<c> < <b"),
        ("<<b>>", "<2>"),
    ] {
        assert_eq!(fill(text, &header, &values), filled);
    }
}

#[test]
fn a_limit_that_is_none_is_an_error() {
    for tag in ["step-timeout", "step-timeout(soon)", "step-timeout(0)"] {
        let message = error(&format!("Feature: F\n@{tag}\nScenario: S\nGiven x\n"));
        let expected = format!("07-Some.feature:3: `@{tag}` is no limit in seconds");
        assert!(message.starts_with(&expected), "{message}");
    }
    let message = error("Feature: F\n@shm-size(16MiB)\nScenario: S\nGiven x\n");
    assert!(
        message.contains("`@shm-size(16MiB)` is no size in MiB"),
        "{message}"
    );
}

#[test]
fn what_could_not_fail_is_an_error() {
    let message = error("Feature: F\n\nScenario: Empty\n\nScenario: Full\nGiven x\n");
    assert_eq!(message, "07-Some.feature:3: scenario `Empty` has no steps");
    let message = error("Feature: F\nScenario Outline: O\nGiven <x>\n");
    assert_eq!(message, "07-Some.feature:2: outline `O` has no examples");
}

#[test]
fn a_parse_error_names_file_and_line() {
    for (text, line, found) in [
        (
            "Feature: F\n\nScenario: One\nGiven x\nnonsense here\n",
            5,
            "nonsense here",
        ),
        ("no feature\n", 1, "no feature"),
        ("", 1, ""),
        (
            "Feature: F\nScenario: One\nGiven x\n| a | b |\n| 1 |\nThen y\n",
            5,
            "| 1 |",
        ),
        (
            "Feature: F\nScenario: One\nGiven x\n\"\"\"\nopen\nThen y\n",
            4,
            "\"\"\"",
        ),
        (
            "Feature: F\nScenario: One\nGiven x\n\n@t\nScenaro: Two\nGiven y\n",
            6,
            "Scenaro: Two",
        ),
    ] {
        let expected =
            format!("07-Some.feature:{line}: this cannot be read as Gherkin here: `{found}`");
        assert_eq!(error(text), expected);
    }
}

#[test]
fn a_folder_has_no_id_twice() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    write("02-B.feature", "Feature: B\nScenario: One\nGiven x\n").unwrap();
    write("01-A.feature", "Feature: A\nScenario: One\nGiven x\n").unwrap();
    write("notes.txt", "not a feature").unwrap();
    let ids: Vec<_> = read_folder(folder.path())
        .unwrap()
        .iter()
        .map(|s| s.id.to_string())
        .collect();
    assert_eq!(ids, ["1.1", "2.1"]);
    write(
        "03-C.feature",
        "Feature: C\nScenario: 2.1 - Again\nGiven x\n",
    )
    .unwrap();
    let message = read_folder(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("03-C.feature:2: scenario 2.1 is also at"),
        "{message}"
    );
    assert!(!message.contains("1-Name.feature"), "{message}");
    let message = read_folder(&folder.path().join("none"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("none: the features folder cannot be read"),
        "{message}"
    );
    let empty = tempfile::tempdir().unwrap();
    let message = read_folder(empty.path()).unwrap_err().to_string();
    let expected = format!("{}: there is no *.feature file", empty.path().display());
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn files_without_numbers_are_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, scenario: &str| {
        let text = format!("Feature: F\nScenario: {scenario}\nGiven x\n");
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    write("A.feature", "One");
    write("B.feature", "1.1 - One");
    let found = read_folder(folder.path()).unwrap();
    let ids: Vec<_> = found.iter().map(|s| s.id.to_string()).collect();
    assert_eq!(ids, ["0.1", "1.1"]);
    write("B.feature", "One");
    let message = read_folder(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("B.feature:2: scenario 0.1 is also at"),
        "{message}"
    );
    assert!(message.contains("for example 1-Name.feature"), "{message}");
}
