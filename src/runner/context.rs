//! What a step takes along to its processes, and what it brings back.

use std::collections::BTreeMap;

use super::scenario::Step;
use crate::rpc::message::StringMap;

/// What a step brings along: its data table and doc string.
pub fn parameters(step: &Step) -> StringMap {
    let table = step
        .table
        .as_ref()
        .map(|rows| ("table", serde_json::json!(rows).to_string()));
    let text = step
        .doc_string
        .as_ref()
        .map(|text| ("docString", text.clone()));
    let both = table.into_iter().chain(text);
    both.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Adds to the context what processes returned. Where several returned different values under
/// one key, each is kept under `<process>.<key>`.
pub fn merge(context: &mut StringMap, changes: Vec<(String, StringMap)>) {
    let mut by_key: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (process, entries) in changes {
        for (key, value) in entries {
            by_key
                .entry(key)
                .or_default()
                .push((process.clone(), value));
        }
    }
    for (key, values) in by_key {
        let same = values.windows(2).all(|pair| pair[0].1 == pair[1].1);
        for (process, value) in values {
            match same {
                true => context.insert(key.clone(), value),
                false => context.insert(format!("{process}.{key}"), value),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::message::StepType;

    fn map(entries: &[(&str, &str)]) -> StringMap {
        let owned = entries.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        owned.collect()
    }

    #[test]
    fn the_context_keeps_what_each_process_said() {
        let mut context = map(&[("old", "1")]);
        let changes = vec![
            (
                "reader#1".to_owned(),
                map(&[("result", "won"), ("same", "x")]),
            ),
            (
                "reader#2".to_owned(),
                map(&[("result", "lost"), ("same", "x"), ("old", "2")]),
            ),
        ];
        merge(&mut context, changes);
        let expected = [
            ("old", "2"),
            ("reader#1.result", "won"),
            ("reader#2.result", "lost"),
            ("same", "x"),
        ];
        assert_eq!(context, map(&expected));
    }

    #[test]
    fn tables_and_doc_strings_travel_as_strings() {
        let step = Step {
            kind: StepType::Given,
            text: "x".into(),
            table: Some(vec![
                vec!["a".into(), "b".into()],
                vec!["1".into(), "\"2\"".into()],
            ]),
            doc_string: Some("text".into()),
            line: 1,
        };
        let expected = [
            ("docString", "text"),
            ("table", r#"[["a","b"],["1","\"2\""]]"#),
        ];
        assert_eq!(parameters(&step), map(&expected));
    }
}
