//! The parts of a line: words, names, quoted texts, numbers.

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LineError(pub(super) &'static str);

/// Walks along a line.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    pub(super) fn is_at(&self, c: char) -> bool {
        self.rest.starts_with(c)
    }

    /// Goes over a character if it is there.
    pub(super) fn take(&mut self, c: char) -> bool {
        let after = self.rest.strip_prefix(c);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Returns what stands up to the next blank; empty at the end.
    pub(super) fn word(&mut self) -> &'a str {
        let end = self.rest.find([' ', '\t']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// Reads a name: letters, digits, `_` and `:`, not beginning with a digit; or in quotes any.
    pub(super) fn name(&mut self) -> Result<String, LineError> {
        if self.is_at('"') {
            let name = self.quoted()?;
            return if name.is_empty() { Err(LineError("a name is empty")) } else { Ok(name) };
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(LineError("a name is missing or holds a character that is not allowed"));
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// Reads a text in quotes, in which `\\`, `\"` and `\n` are written so.
    pub(super) fn quoted(&mut self) -> Result<String, LineError> {
        if !self.take('"') {
            return Err(LineError("a value does not begin with a quote"));
        }
        let mut is_escaped = false;
        for (index, c) in self.rest.char_indices() {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => {
                    let text = unescaped(&self.rest[..index]);
                    self.rest = &self.rest[index + 1..];
                    return Ok(text);
                }
                _ => {}
            }
        }
        Err(LineError("a quote is not closed"))
    }
}

/// Replaces `\\`, `\"` and `\n`; a backslash before anything else stays.
pub(super) fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some(next @ ('\\' | '"'))) => plain.push(next),
            (c, _) => {
                plain.push(c);
                continue;
            }
        }
        chars.next();
    }
    plain
}

/// Reads a value as Go's `ParseFloat` does, but for hexadecimal numbers and underscores.
pub(super) fn number(word: &str) -> Result<f64, LineError> {
    if word.is_empty() {
        return Err(LineError("the value is missing"));
    }
    word.parse().map_err(|_| LineError("the value is no number"))
}
