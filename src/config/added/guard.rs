//! What a host that was added while the server runs may not say, unless `[server] added_commands`
//! allows it: who may add hosts could otherwise run programs on the server, send its files
//! elsewhere, or read the secrets of `[macros]`.

use toml::{Table, Value};

/// A key that is refused: its path in the table, joined by dots, and what it is.
pub(crate) type Refused = (String, &'static str);

/// Tables whose keys are names that people choose.
const NAMED: [&str; 4] = ["labels", "variables", "headers", "params"];
/// Tables of tables whose keys are names that people choose.
const TABLES_OF_NAMED: [&str; 2] = ["check", "prometheus"];

/// Returns what a host's table says and may not.
pub(crate) fn guard(host: &Table) -> Vec<Refused> {
    let mut refused = Vec::new();
    look(host, "", &mut refused);
    refused
}

fn look(table: &Table, above: &str, refused: &mut Vec<Refused>) {
    for (key, value) in table {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        let is_of_nrpe = above.ends_with("nrpe");
        if key == "command" && !is_of_nrpe {
            refused.push((path, "a program that runs on the server"));
            continue;
        }
        if key == "alive" && value.is_array() {
            refused.push((path, "a program that runs on the server"));
            continue;
        }
        if key.ends_with("_file") {
            refused.push((path, "a file of the server"));
            continue;
        }
        if has_user_macro(value) {
            refused.push((path, "a macro of [macros], which may be a secret"));
            continue;
        }
        let Value::Table(inner) = value else { continue };
        if NAMED.contains(&key.as_str()) {
            let named = inner.iter().filter(|(_, value)| has_user_macro(value));
            let what = "a macro of [macros], which may be a secret";
            refused.extend(named.map(|(name, _)| (format!("{path}.{name}"), what)));
        } else if TABLES_OF_NAMED.contains(&key.as_str()) {
            for (name, value) in inner {
                if let Value::Table(named) = value {
                    look(named, &format!("{path}.{name}"), refused);
                }
            }
        } else {
            look(inner, &path, refused);
        }
    }
}

/// Tells whether a text, or one of a list, holds `$USERn$`. Tables are looked through on their own.
fn has_user_macro(value: &Value) -> bool {
    match value {
        Value::String(text) => text.split('$').any(|piece| {
            piece.strip_prefix("USER").is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        }),
        Value::Array(list) => list.iter().any(|item| match item {
            Value::Table(table) => table.values().any(has_user_macro),
            other => has_user_macro(other),
        }),
        _ => false,
    }
}
