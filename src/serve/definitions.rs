//! The step definitions: found by a step's text, and listed for `discover`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use cucumber::World as _;
use cucumber::codegen::{StepConstructor, WorldInventory};
use cucumber::step::{Collection, Context, Step as StepFunction};
use gherkin::{LineCol, Span, Step, StepType as Keyword, Table};

use super::failure::Failure;
use super::world::World;
use crate::rpc::message::{ExecuteStepParams, NO_MATCHING_STEP, StepPattern, StepType};

/// The parameter with a step's data table, as a JSON array of rows.
const TABLE: &str = "table";

/// The parameter with a step's doc string.
const DOC_STRING: &str = "docString";

static COLLECTION: LazyLock<Collection<World>> = LazyLock::new(World::collection);

/// A step together with the function that carries it out.
pub struct FoundStep {
    /// To be called with `context`.
    pub function: StepFunction<World>,
    /// The step and what its definition captured.
    pub context: Context,
}

/// Finds the definition of a step, whatever keyword it is defined for: the one asked for first.
///
/// # Errors
///
/// A failure if there is none, if several fit, or if a parameter cannot be read.
pub fn find(params: &ExecuteStepParams) -> Result<FoundStep, Failure> {
    let asked = params.step_type;
    let others = StepType::ALL.into_iter().filter(|kind| *kind != asked);
    for kind in std::iter::once(asked).chain(others) {
        let step = gherkin_step(kind, params)?;
        if let Some((function, _, _, context)) = COLLECTION.find(&step)? {
            return Ok(FoundStep {
                function: *function,
                context,
            });
        }
    }
    Err(Failure::new(format!(
        "{NO_MATCHING_STEP} for: {asked} {}",
        params.step
    )))
}

/// Every step definition, with the regular expression really used.
pub fn list() -> Vec<StepPattern> {
    let mut patterns = BTreeSet::new();
    patterns.extend(list_of::<<World as WorldInventory>::Given>("given"));
    patterns.extend(list_of::<<World as WorldInventory>::When>("when"));
    patterns.extend(list_of::<<World as WorldInventory>::Then>("then"));
    patterns.into_iter().collect()
}

fn list_of<D>(kind: &str) -> impl Iterator<Item = StepPattern>
where
    D: inventory::Collect + StepConstructor<World>,
{
    inventory::iter::<D>.into_iter().map(move |definition| {
        let (_, regex, _) = definition.inner();
        StepPattern {
            kind: kind.to_owned(),
            pattern: regex().as_str().to_owned(),
        }
    })
}

fn gherkin_step(kind: StepType, params: &ExecuteStepParams) -> Result<Step, Failure> {
    Ok(Step {
        keyword: format!("{kind} "),
        ty: match kind {
            StepType::Given => Keyword::Given,
            StepType::When => Keyword::When,
            StepType::Then => Keyword::Then,
        },
        value: params.step.clone(),
        docstring: params.parameters.get(DOC_STRING).cloned(),
        table: params
            .parameters
            .get(TABLE)
            .map(|json| table(json))
            .transpose()?,
        span: Span::default(),
        position: LineCol::default(),
    })
}

fn table(json: &str) -> Result<Table, Failure> {
    let rows: Vec<Vec<String>> = serde_json::from_str(json).map_err(|error| {
        Failure::new(format!(
            "parameter {TABLE:?}: expected a JSON array of rows of strings: {error}"
        ))
    })?;
    Ok(Table {
        rows,
        span: Span::default(),
        position: LineCol::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(kind: StepType, step: &str) -> ExecuteStepParams {
        ExecuteStepParams {
            process: String::new(),
            step_type: kind,
            step: step.into(),
            parameters: Default::default(),
            context: Default::default(),
            is_broadcast: false,
        }
    }

    #[test]
    fn a_step_is_found_whatever_keyword_carries_it() {
        for kind in StepType::ALL {
            let found = find(&params(kind, "the 'writer' process connects to buffer 'b'")).unwrap();
            let captured: Vec<_> = found.context.matches.iter().skip(1).collect();
            assert_eq!(captured[0].1, "writer");
            assert_eq!(captured[1].1, "b");
        }
    }

    #[test]
    fn a_step_that_nobody_defines_is_named() {
        let step = "the moon 'is' full";
        let failure = find(&params(StepType::When, step)).err().unwrap();
        let expected = format!("{NO_MATCHING_STEP} for: When {step}");
        assert_eq!(failure.to_string(), expected);
        let trailing = "the 'writer' process connects to buffer 'b' twice";
        assert!(find(&params(StepType::When, trailing)).is_err());
    }

    #[test]
    fn every_definition_is_anchored_and_listed_once() {
        let patterns = list();
        for pattern in &patterns {
            let text = &pattern.pattern;
            assert!(text.starts_with('^') && text.ends_with('$'), "{text}");
        }
        let definitions = inventory::iter::<<World as WorldInventory>::Given>
            .into_iter()
            .count()
            + inventory::iter::<<World as WorldInventory>::When>
                .into_iter()
                .count()
            + inventory::iter::<<World as WorldInventory>::Then>
                .into_iter()
                .count();
        assert_eq!(patterns.len(), definitions);
        assert!(patterns.iter().any(|p| p.kind == "then"));
    }

    #[test]
    fn tables_and_doc_strings_reach_the_step() {
        let mut with_table = params(StepType::Given, "x");
        with_table
            .parameters
            .insert(TABLE.into(), r#"[["a","b"],["1","2"]]"#.into());
        with_table
            .parameters
            .insert(DOC_STRING.into(), "doc".into());
        let step = gherkin_step(StepType::Given, &with_table).unwrap();
        assert_eq!(step.table.unwrap().rows, [["a", "b"], ["1", "2"]]);
        assert_eq!(step.docstring.as_deref(), Some("doc"));
        with_table.parameters.insert(TABLE.into(), "| a |".into());
        let failure = gherkin_step(StepType::Given, &with_table).unwrap_err();
        assert!(failure.to_string().contains("array of rows"), "{failure}");
    }
}
