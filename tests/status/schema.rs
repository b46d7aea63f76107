//! As much of JSON Schema as docs/status.schema.json uses: `$ref` to `$defs`, `type`, `properties`, `required`,
//! `additionalProperties: false`, `items`, `enum`. Any other keyword that restricts is an error, so that none is passed
//! over in silence.

use serde_json::Value;

/// The schema that the documentation has.
pub fn documented() -> Value {
    serde_json::from_str(include_str!("../../docs/status.schema.json")).expect("the schema is JSON")
}

/// What is wrong with `value`: each a path and a sentence.
pub fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    check(schema, schema, value, "$", &mut errors);
    errors
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        match keyword.as_str() {
            "$ref" => {
                let name =
                    rule.as_str().and_then(|rule| rule.strip_prefix("#/$defs/")).expect("a definition");
                let definition = &root["$defs"][name];
                assert!(definition.is_object(), "there is a definition {name}");
                check(root, definition, value, path, errors);
            }
            "type" => {
                let names = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
                if !names.iter().any(|name| is_of(value, name.as_str().expect("a type's name"))) {
                    errors.push(format!("{path}: {value} is not of type {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().expect("a list of values").contains(value) {
                    errors.push(format!("{path}: {value} is none of {rule}"));
                }
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{path}[{number}]"), errors);
                }
            }
            "required" if value.is_null() => {}
            "required" => {
                let names = rule.as_array().expect("a list of names").iter();
                let missing = names.filter(|name| value.get(name.as_str().expect("a name")).is_none());
                errors.extend(missing.map(|name| format!("{path}: {name} is missing")));
            }
            "properties" => {
                for (name, item) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(rule) => check(root, rule, item, &format!("{path}.{name}"), errors),
                        None if schema["additionalProperties"] == Value::Bool(false) => {
                            errors.push(format!("{path}: {name} is not documented"));
                        }
                        None => {}
                    }
                }
            }
            "additionalProperties" => assert_eq!(rule, &Value::Bool(false), "nothing else is checked"),
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            other => panic!("the schema uses {other:?}, which this does not check"),
        }
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("there is no type {other:?}"),
    }
}
