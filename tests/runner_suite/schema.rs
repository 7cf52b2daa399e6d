//! Validates JSON against the schema of Cucumber Messages.
//!
//! It knows the keywords that this schema uses and no others: one that it does not know is a panic,
//! so that nothing is taken for valid that was not looked at.

use serde_json::Value;

const BASE: &str = "https://cucumber.io/schema/";

/// A schema whose parts are in `$defs`, each with `definitions` of its own.
pub struct Schema(Value);

impl Schema {
    /// Reads it.
    pub fn new(text: &str) -> Schema {
        Schema(serde_json::from_str(text).unwrap())
    }

    /// What is wrong with a value.
    pub fn errors(&self, value: &Value) -> Vec<String> {
        let mut checking = Checking {
            root: &self.0,
            errors: Vec::new(),
        };
        checking.check(value, &self.0, &self.0, "");
        checking.errors
    }
}

struct Checking<'a> {
    root: &'a Value,
    errors: Vec<String>,
}

impl<'a> Checking<'a> {
    fn wrong(&mut self, at: &str, what: String) {
        self.errors.push(format!("{at}: {what}"));
    }

    /// Checks a value against a schema that stands in the part `part`.
    fn check(&mut self, value: &Value, schema: &'a Value, part: &'a Value, at: &str) {
        for (keyword, wanted) in schema.as_object().unwrap() {
            match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "definitions" | "description" | "deprecated" => {}
                "$ref" => {
                    let (schema, part) = self.referred(wanted.as_str().unwrap(), part);
                    self.check(value, schema, part, at);
                }
                "type" if !is_of(value, wanted.as_str().unwrap()) => {
                    self.wrong(at, format!("{value} is no {wanted}"));
                }
                "type" => {}
                "enum" if !wanted.as_array().unwrap().contains(value) => {
                    self.wrong(at, format!("{value} is none of {wanted}"));
                }
                "enum" => {}
                "minimum" if value.as_f64() < wanted.as_f64() => {
                    self.wrong(at, format!("{value} is less than {wanted}"));
                }
                "maximum" if value.as_f64() > wanted.as_f64() => {
                    self.wrong(at, format!("{value} is more than {wanted}"));
                }
                "minimum" | "maximum" => {}
                "minItems" | "items" => self.items(value, (keyword, wanted), part, at),
                "properties" | "required" | "additionalProperties" => {
                    self.object(value, (keyword, wanted), schema, part, at);
                }
                other => panic!("the keyword {other} is not known here"),
            }
        }
    }

    fn referred(&self, reference: &str, part: &'a Value) -> (&'a Value, &'a Value) {
        if let Some(name) = reference.strip_prefix("#/definitions/") {
            return (&part["definitions"][name], part);
        }
        let name = reference.trim_start_matches("./");
        let found = &self.root["$defs"][format!("{BASE}{name}")];
        assert!(found.is_object(), "{reference}");
        (found, found)
    }

    fn items(&mut self, value: &Value, keyword: (&str, &'a Value), part: &'a Value, at: &str) {
        let items = value.as_array().map_or(&[][..], Vec::as_slice);
        match keyword {
            ("items", schema) => {
                for (index, item) in items.iter().enumerate() {
                    self.check(item, schema, part, &format!("{at}[{index}]"));
                }
            }
            (_, least) if (items.len() as u64) < least.as_u64().unwrap() => {
                self.wrong(at, format!("fewer than {least} items"));
            }
            _ => {}
        }
    }

    fn object(
        &mut self,
        value: &Value,
        keyword: (&str, &'a Value),
        schema: &'a Value,
        part: &'a Value,
        at: &str,
    ) {
        match keyword {
            ("required", keys) => {
                for key in keys.as_array().unwrap() {
                    if value.get(key.as_str().unwrap()).is_none() {
                        self.wrong(at, format!("{key} is missing"));
                    }
                }
            }
            ("properties", properties) => {
                for (key, schema) in properties.as_object().unwrap() {
                    if let Some(inner) = value.get(key) {
                        self.check(inner, schema, part, &format!("{at}.{key}"));
                    }
                }
            }
            (_, additional) => {
                assert_eq!(additional, &Value::Bool(false));
                for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
                    if schema["properties"].get(key).is_none() {
                        self.wrong(at, format!("{key} should not be there"));
                    }
                }
            }
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the type {other} is not known here"),
    }
}
