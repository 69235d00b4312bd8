//! What is written alike is read once: a file is taken apart before it is read.
//!
//! On a large site most tables `[host.NAME.check.CHECK]` say the same for host after host. Such a
//! table is taken out of the text as it stands; blanks take its place, so that all that is left
//! keeps its offsets. Two that have the same name and the same lines are then one check for two
//! hosts (`host.rs`), of which only the first is read.
//!
//! Only what is plain is taken out: below a table `[host.NAME]` further up, with no table below
//! itself, once. Everything else is left to the reader of TOML, which also tells what is wrong:
//! after any fault the files are read again as a whole.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::DeTable;

use super::check::Faults;
use super::table::{self, Table};

/// A table `[host.NAME.check.CHECK]` that was taken out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CheckText<'a> {
    /// The check's name, and where it stands in the header.
    pub(super) name: (&'a str, Range<usize>),
    /// The header with its brackets.
    pub(super) header: Range<usize>,
    /// The lines below it, and where they begin.
    pub(super) body: (&'a str, usize),
}

impl<'a> CheckText<'a> {
    /// Reads the table; `base` is where its file begins among all files. `None` after a fault.
    pub(super) fn read(&self, faults: &mut Faults<'_>, base: usize) -> Option<Table<'a>> {
        let (body, start) = self.body;
        match DeTable::parse(body) {
            Ok(table) => {
                let mut table = table.into_inner();
                table::shift(&mut table, base + start);
                Some(Spanned::new(base + self.header.start..base + self.header.end, table))
            }
            Err(error) => {
                faults.of_reader(&error, base + start);
                None
            }
        }
    }

    /// Returns where its name stands among all files.
    pub(super) fn place_of_name(&self, base: usize) -> Range<usize> {
        base + self.name.1.start..base + self.name.1.end
    }
}

/// The tables that were taken out, by host, in the order of the file.
pub(super) type CheckTexts<'a> = HashMap<&'a str, Vec<CheckText<'a>>>;

/// A header and what stands below it, to the next header or the end.
struct Section<'a> {
    header: Range<usize>,
    /// The words between the dots, each with its place; `None`: not plain.
    path: Option<Path<'a>>,
    /// Whether it is one of a list of tables, `[[...]]`.
    is_of_list: bool,
    body: Range<usize>,
}

/// The words of a header, each with its place.
type Path<'a> = Vec<(&'a str, Range<usize>)>;

/// What is found of a host.
#[derive(Default)]
struct Host<'a> {
    is_written: bool,
    is_left: bool,
    checks: HashSet<&'a str>,
}

/// Takes the plain tables of checks out of a text; returns what is left, in which all offsets are
/// as they were.
pub(super) fn split(text: &str) -> (String, CheckTexts<'_>) {
    let sections = sections(text);
    let mut hosts: HashMap<&str, Host<'_>> = HashMap::new();
    for section in &sections {
        match words(section).as_deref() {
            Some(["host", ..]) if section.is_of_list => {
                return (text.to_owned(), CheckTexts::new());
            }
            Some(["host", host]) => hosts.entry(host).or_default().is_written = true,
            Some(["host", host, "check", check]) => {
                let host = hosts.entry(host).or_default();
                // Twice the same table is a fault, and one above its host is seldom.
                host.is_left |= !host.is_written || !host.checks.insert(check);
            }
            Some(["host", host, ..]) => hosts.entry(host).or_default().is_left = true,
            Some(_) => {}
            // Of what it speaks is left to the reader.
            None => return (text.to_owned(), CheckTexts::new()),
        }
    }
    let (mut rest, mut texts, mut end) = (String::with_capacity(text.len()), CheckTexts::new(), 0);
    for Section { header, path, body, .. } in sections {
        let Some([_, (host, _), _, name]) = path.as_deref() else { continue };
        if path_is_of_check(path.as_deref()) && hosts.get(host).is_some_and(|host| !host.is_left) {
            rest.push_str(&text[end..header.start]);
            rest.extend(std::iter::repeat_n(' ', body.end - header.start));
            end = body.end;
            let body = (&text[body.clone()], body.start);
            let text = CheckText { name: name.clone(), header, body };
            texts.entry(*host).or_default().push(text);
        }
    }
    rest.push_str(&text[end..]);
    (rest, texts)
}

fn path_is_of_check(path: Option<&[(&str, Range<usize>)]>) -> bool {
    matches!(path, Some([("host", _), _, ("check", _), _]))
}

fn words<'a>(section: &Section<'a>) -> Option<Vec<&'a str>> {
    Some(section.path.as_ref()?.iter().map(|(word, _)| *word).collect())
}

/// Finds all headers of a text: lines that begin with a bracket outside of texts and lists.
fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let line = &text[at..];
        let start = at + (line.len() - line.trim_start_matches([' ', '\t']).len());
        if text[start..].starts_with('[') {
            if let Some(last) = sections.last_mut() {
                last.body.end = start;
            }
            let end = text[start..].find('\n').map_or(text.len(), |end| start + end + 1);
            let line = &text[start..end];
            let is_of_list = line.starts_with("[[");
            let (header, path) = read_header(line, start, if is_of_list { "]]" } else { "]" });
            sections.push(Section { header, path, is_of_list, body: end..text.len() });
            at = end;
        } else {
            at = after_statement(text, start);
        }
    }
    sections
}

/// Reads a line such as `[host.web1.check."file systems"]  # why`; without path when it is not as
/// plain as that.
fn read_header<'a>(line: &'a str, start: usize, end: &str) -> (Range<usize>, Option<Path<'a>>) {
    let mut path = Vec::new();
    let mut at = end.len();
    loop {
        let rest = &line[at..];
        let quote = rest.chars().next().filter(|first| ['"', '\''].contains(first));
        let (word, length) = if let Some(quote) = quote {
            match rest[1..].split_once(quote) {
                Some((word, _)) if !word.contains(['\\', '\n']) => (word, word.len() + 2),
                _ => return (start..start + at, None),
            }
        } else {
            let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let word = &rest[..rest.find(|c| !is_bare(c)).unwrap_or(rest.len())];
            (word, word.len())
        };
        if word.is_empty() {
            return (start..start + at, None);
        }
        path.push((word, start + at..start + at + length));
        at += length;
        match line.as_bytes().get(at) {
            Some(b'.') => at += 1,
            _ if line[at..].starts_with(end) => break,
            _ => return (start..start + at, None),
        }
    }
    let header = start..start + at + end.len();
    let after = line[at + end.len()..].trim();
    (header, (after.is_empty() || after.starts_with('#')).then_some(path))
}

/// Returns where the line after a statement begins: its value may be a list or a text of several
/// lines.
fn after_statement(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (start, 0usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' if depth == 0 => return at + 1,
            b'#' => {
                at = text[at..].find('\n').map_or(text.len(), |end| at + end);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' | b'\'' => {
                at = after_text(bytes, at);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Returns what follows a text that begins with the quote at `start`.
fn after_text(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let is_quote = |at: usize| bytes.get(at) == Some(&quote);
    let is_long = is_quote(start + 1) && is_quote(start + 2);
    let mut at = start + if is_long { 3 } else { 1 };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            b'\n' if !is_long => return at,
            _ if !is_quote(at) => {}
            _ if !is_long => return at + 1,
            _ if is_quote(at + 1) && is_quote(at + 2) => {
                // Up to two quotes may stand before the three that end it.
                at += 3;
                while is_quote(at) {
                    at += 1;
                }
                return at;
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes what was taken out: `host/check: body`, lines joined by `;`.
    fn taken(text: &str) -> Vec<String> {
        let (rest, texts) = split(text);
        assert_eq!(rest.len(), text.len(), "all that is left keeps its place");
        let mut lines = Vec::new();
        for (host, checks) in texts {
            for check in checks {
                let body = check.body.0.trim().replace('\n', ";");
                lines.push(format!("{host}/{}: {body}", check.name.0));
                assert_eq!(text[check.name.1.clone()].trim_matches('"'), check.name.0);
                assert!(text[check.header.clone()].ends_with(']'));
                assert!(!rest.contains(&body) || body.is_empty(), "{body:?} is left too");
            }
        }
        lines.sort();
        lines
    }

    #[test]
    fn plain_tables_of_checks_are_taken_out() {
        let text = "[[agents.rule]]\n[host.a]\naddress = \"1\"\n[host.a.check.x]\ntcp = \"1\"\nnotes = \"n\"\n\
                    [host.b]\n  [host.b.check.\"file systems\"] # why\nexpr = \"up\"\n[contact.c]\n";
        assert_eq!(
            taken(text),
            ["a/x: tcp = \"1\";notes = \"n\"", "b/file systems: expr = \"up\""]
        );
        let (rest, _) = split(text);
        assert!(rest.contains("address") && rest.contains("[contact.c]"), "{rest}");
    }

    #[test]
    fn what_looks_like_a_header_inside_of_values_is_none() {
        let text = "[host.a]\nnotes = \"\"\"\n[host.a.check.no]\n\\\"\"\"\"\"\ngroups = [\n[\"x\"],\n]\n\
                    notes_url = '''\n[host.b]'''\n[host.a.check.x]\ncommand = [\n  \"a\", # [b\n]\n";
        assert_eq!(taken(text), ["a/x: command = [;  \"a\", # [b;]"]);
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_the_reader() {
        let cases = [
            // A table below the check's own.
            "[host.a]\n[host.a.check.x]\ntcp = \"1\"\n[host.a.check.x.labels]\nb = \"c\"\n",
            // Twice, above its host, without one.
            "[host.a]\n[host.a.check.x]\n[host.a.check.x]\n",
            "[host.a.check.x]\ntcp = \"1\"\n[host.a]\n",
            "[host.a.check.x]\ntcp = \"1\"\n",
            // A list of tables, spaces between the words, an escape, something after the bracket.
            "[host.a]\n[[host.b]]\n[host.a.check.x]\n",
            "[host.a]\n[ host . a . check . x ]\n",
            "[host.a]\n[host.a.check.\"\\u0041\"]\n",
            "[host.a]\n[host.a.check.x] tcp = \"1\"\n",
            "[host.a]\n[host.a.check.x\n",
        ];
        for text in cases {
            assert_eq!(taken(text), Vec::<String>::new(), "{text}");
            assert_eq!(split(text).0, text);
        }
    }
}
