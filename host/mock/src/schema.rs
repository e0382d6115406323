//! The JSON Schema of a scenario: what editors complete and what [`crate::load`] checks.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::scenario::Scenario;

/// The schema (draft 2020-12), without references, so that a place in it can be found by its path.
pub fn scenario_schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_deserialize();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<Scenario>();
    let mut schema = schema.to_value();
    simplify(&mut schema);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), json!("A scenario of `stuga test`"));
        schema.remove("$defs");
    }
    schema
}

/// Says the same in the words that give the best messages: what is optional is left out rather than null, and a choice
/// of words is an `enum`.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Object(object) => {
            object.values_mut().for_each(simplify);
            drop_null(object);
            join_words(object);
        }
        _ => {}
    }
}

fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (name, value) in only {
            // The field's own description says more than its type's.
            object.entry(name).or_insert(value);
        }
    }
}

fn join_words(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.get("oneOf") else {
        return;
    };
    let words: Option<Vec<Value>> = choices.iter().map(|c| c.get("const").cloned()).collect();
    if let Some(words) = words {
        object.remove("oneOf");
        object.insert("type".to_owned(), json!("string"));
        object.insert("enum".to_owned(), Value::Array(words));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the schema is kept for editors.
    const KEPT: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/scenario.schema.json"
    );

    #[test]
    fn the_schema_in_docs_is_the_one_that_is_checked() {
        let schema = serde_json::to_string_pretty(&scenario_schema()).unwrap() + "\n";
        if std::env::var_os("STUGA_BLESS").is_some() {
            std::fs::create_dir_all(std::path::Path::new(KEPT).parent().unwrap()).unwrap();
            std::fs::write(KEPT, &schema).unwrap();
        }
        let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
        assert!(
            kept == schema,
            "docs/reference/scenario.schema.json is not current; run the test with STUGA_BLESS=1"
        );
    }

    #[test]
    fn the_schema_has_neither_references_nor_nulls() {
        let text = scenario_schema().to_string();
        for word in ["$ref", "oneOf", "anyOf", "\"null\""] {
            assert!(!text.contains(word), "{word}");
        }
    }
}
