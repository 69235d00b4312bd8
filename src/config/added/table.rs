//! A host's table between what was submitted as JSON and what stands in the file, and where in it
//! a fault is.

use std::ops::Range;

use serde_json::{Map, Number, Value as Json};
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Stands for a secret in what is shown; submitted again it means the one that is kept.
const MASK: &str = "********";
/// Keys whose values are not shown.
const SECRETS: [&str; 3] = ["password", "token", "secret"];
/// Tables in a table in a table ... that are looked into.
const DEPTH_MAX: usize = 16;

/// Turns what was submitted into a table; keys that are `null` are left out. Errors: the path of
/// what TOML cannot say, and why.
pub(crate) fn of_json(json: &Map<String, Json>) -> Result<Table, (String, String)> {
    table_of(json, "", 0)
}

fn table_of(
    json: &Map<String, Json>,
    above: &str,
    depth: usize,
) -> Result<Table, (String, String)> {
    if depth > DEPTH_MAX {
        return Err((above.to_owned(), "tables lie too deep in each other".to_owned()));
    }
    let mut table = Table::new();
    for (key, value) in json.iter().filter(|(_, value)| !value.is_null()) {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        table.insert(key.clone(), value_of(value, &path, depth)?);
    }
    Ok(table)
}

fn value_of(json: &Json, path: &str, depth: usize) -> Result<Value, (String, String)> {
    match json {
        Json::Null => Err((path.to_owned(), "a list cannot hold null".to_owned())),
        Json::Bool(is) => Ok(Value::Boolean(*is)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Value::Integer(whole)),
            (None, Some(number)) => Ok(Value::Float(number)),
            _ => Err((path.to_owned(), format!("{number} is too large a number"))),
        },
        Json::String(text) => Ok(Value::String(text.clone())),
        Json::Array(list) => {
            let items = list.iter().map(|item| value_of(item, path, depth + 1));
            items.collect::<Result<_, _>>().map(Value::Array)
        }
        Json::Object(object) => table_of(object, path, depth + 1).map(Value::Table),
    }
}

/// Returns a table as JSON, secrets and all.
fn to_json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::String(text.clone()),
        Value::Integer(number) => Json::Number((*number).into()),
        Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Boolean(is) => Json::Bool(*is),
        Value::Datetime(moment) => Json::String(moment.to_string()),
        Value::Array(list) => list.iter().map(to_json).collect(),
        Value::Table(table) => Json::Object(shown_as_is(table)),
    }
}

fn shown_as_is(table: &Table) -> Map<String, Json> {
    table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect()
}

/// Returns a table as JSON, a mask in the place of each secret.
pub(crate) fn shown(table: &Table) -> Map<String, Json> {
    shown_as_is(&masked(table))
}

/// Returns a table with a mask in the place of each secret.
fn masked(table: &Table) -> Table {
    let mut table = table.clone();
    for (key, value) in &mut table {
        match value {
            Value::String(text) if SECRETS.contains(&key.as_str()) => MASK.clone_into(text),
            Value::Table(inner) => *inner = masked(inner),
            _ => {}
        }
    }
    table
}

/// Puts the secrets that are kept in the place of masks.
pub(crate) fn unmasked(table: &mut Table, kept: &Table) {
    for (key, value) in table.iter_mut() {
        match (value, kept.get(key)) {
            (Value::String(text), Some(Value::String(secret)))
                if text == MASK && SECRETS.contains(&key.as_str()) =>
            {
                text.clone_from(secret);
            }
            (Value::Table(inner), Some(Value::Table(kept))) => unmasked(inner, kept),
            _ => {}
        }
    }
}

/// Returns the host of a file of `[host.NAME]` in whose tables a place stands.
pub(crate) fn owner_of(text: &str, line: usize, column: usize) -> Option<String> {
    let path = path_at(text, line, column)?;
    (path.first()? == "host").then(|| path.get(1).cloned())?
}

/// Returns the key of a host's table at which a place of the file stands, its parts joined by dots;
/// empty when it is about the whole host.
pub(crate) fn field_at(text: &str, line: usize, column: usize) -> String {
    path_at(text, line, column).map_or_else(String::new, |path| path[path.len().min(2)..].join("."))
}

/// Returns the keys that lead to the innermost key or value that holds a place.
fn path_at(text: &str, line: usize, column: usize) -> Option<Vec<String>> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let in_line = text.get(start..)?.chars().take(column.checked_sub(1)?);
    let offset = start + in_line.map(char::len_utf8).sum::<usize>();
    let root = DeTable::parse(text).ok()?;
    let mut path = Vec::new();
    descend(root.get_ref(), offset, &mut path).then_some(path)
}

/// Follows the keys to an offset; tells whether it stands in this table.
fn descend(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>) -> bool {
    let holds = |span: Range<usize>| span.contains(&offset) || span.start == offset;
    for (key, value) in table {
        path.push(key.get_ref().clone().into_owned());
        // The parts of `[host.a.check.c]` are keys of their own, inside no value's span.
        let is_deeper = match value.get_ref() {
            DeValue::Table(inner) => descend(inner, offset, path),
            DeValue::Array(list) => list.iter().any(|item| is_in(item, offset)),
            _ => false,
        };
        if is_deeper || holds(key.span()) || holds(value.span()) {
            return true;
        }
        path.pop();
    }
    false
}

fn is_in(item: &Spanned<DeValue<'_>>, offset: usize) -> bool {
    item.span().contains(&offset)
}
