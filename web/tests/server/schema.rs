//! Holds JSON against the part of JSON Schema that our description uses.

use serde_json::Value;

/// Panics unless `value` is as the schema that `reference` names says.
pub fn check(description: &Value, reference: &str, value: &Value, place: &str) {
    if let Err(error) = look(description, &serde_json::json!({ "$ref": reference }), value, place) {
        panic!("{error}");
    }
}

fn look(root: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(&reference[1..]).ok_or(format!("{place}: no {reference}"))?;
        return look(root, target, value, place);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let fits = any.iter().any(|one| look(root, one, value, place).is_ok());
        return if fits { Ok(()) } else { Err(format!("{place}: {value} is none of {schema}")) };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    if !types.iter().any(|name| is_of(value, name)) {
        return Err(format!("{place}: {value} is not {types:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{place}: {value} is none of {allowed:?}"));
    }
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            look(root, &schema["items"], item, &format!("{place}[{index}]"))?;
        }
    }
    if let Value::Object(map) = value {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !map.contains_key(name.as_str().unwrap()) {
                return Err(format!("{place}: {name} is missing"));
            }
        }
        for (name, value) in map {
            let place = format!("{place}.{name}");
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (None, Value::Bool(false)) => return Err(format!("{place}: is not described")),
                (Some(schema), _) | (None, schema) => look(root, schema, value, &place)?,
            }
        }
    }
    Ok(())
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the description uses the type {other}"),
    }
}
