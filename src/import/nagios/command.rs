//! A command line becomes an argv.
//!
//! Nagios gives the line to a shell. Here it is split into words as a POSIX shell would (XCU 2.2,
//! 2.3 and 2.6.5) without running one; what only a shell can do is left to `sh -c`.

mod script;

use std::collections::BTreeMap;

use noroshi_checks::is_macro;

/// What stands for macros while a command line is made.
#[derive(Debug, Default)]
pub(super) struct Variables<'a> {
    /// `$USERn$`.
    pub(super) user: Option<&'a BTreeMap<u16, String>>,
    /// Custom variables of the host, by names such as `_HOSTRACK`.
    pub(super) host: BTreeMap<String, String>,
    /// Custom variables of the service, by names such as `_SERVICEPORT`.
    pub(super) service: BTreeMap<String, String>,
}

/// A command for our configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) argv: Vec<String>,
    /// Why a shell is needed.
    pub(super) shell: Option<&'static str>,
    /// Macros in it that are not known here.
    pub(super) unknown: Vec<String>,
    /// Macros that Nagios puts into a shell's script; here the shell gets them as arguments.
    pub(super) handed_over: Vec<String>,
}

/// Splits `command!argument!argument`; `\!` is an exclamation mark inside an argument.
pub(super) fn split_arguments(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&'!') => {
                letters.next();
                push(&mut parts, '!');
            }
            '!' => parts.push(String::new()),
            letter => push(&mut parts, letter),
        }
    }
    parts
}

fn push(parts: &mut [String], letter: char) {
    if let Some(last) = parts.last_mut() {
        last.push(letter);
    }
}

/// Makes the argv of a command line with these arguments.
pub(super) fn make(line: &str, arguments: &[String], variables: &Variables<'_>) -> Made {
    let with_arguments = replace(line, |name| argument(name, arguments));
    let text = replace(&with_arguments, |name| text_of(name, variables));
    let unknown = unknown_macros(&text, variables);
    let (mut argv, shell) = match words(&text) {
        Ok(argv) if !argv.is_empty() => (argv, None),
        Ok(_) => (in_shell(text), Some("it is empty")),
        Err(why) => (in_shell(text), Some(why)),
    };
    let handed_over = script::hand_over(&mut argv);
    Made { argv, shell, unknown, handed_over }
}

fn in_shell(text: String) -> Vec<String> {
    vec!["sh".to_owned(), "-c".to_owned(), text]
}

/// Returns the text of `$ARGn$`: that of one which was not given is empty.
fn argument(name: &str, arguments: &[String]) -> Option<String> {
    let number: usize = name.strip_prefix("ARG")?.parse().ok()?;
    Some(arguments.get(number.checked_sub(1)?).cloned().unwrap_or_default())
}

/// Returns the text of a macro that has to be put in now: our checks have no custom variables, and
/// a value with blanks or quotes would have been split by Nagios' shell.
fn text_of(name: &str, variables: &Variables<'_>) -> Option<String> {
    if name.starts_with("_SERVICE") {
        return Some(variables.service.get(name).cloned().unwrap_or_default());
    }
    let is_plain = |value: &String| {
        let mut letters = value.chars();
        !value.is_empty() && letters.all(|l| l.is_alphanumeric() || "_-./:@,+=%".contains(l))
    };
    if name.starts_with("_HOST") {
        return match variables.host.get(name) {
            Some(value) => (!is_plain(value)).then(|| value.clone()),
            None => Some(String::new()),
        };
    }
    let number = name.strip_prefix("USER")?.parse().ok()?;
    let value = variables.user?.get(&number)?;
    (!is_plain(value)).then(|| value.clone())
}

/// Returns the macros that stay in a text and are not known here.
fn unknown_macros(text: &str, variables: &Variables<'_>) -> Vec<String> {
    let mut unknown = Vec::new();
    // The text itself is not changed: each macro is only looked at.
    replace(text, |name| {
        let number = || name.strip_prefix("USER").and_then(|number| number.parse().ok());
        let is_user =
            || number().is_some_and(|n| variables.user.is_some_and(|u| u.contains_key(&n)));
        let is_known = is_macro(name) || is_user();
        if !is_known && !unknown.iter().any(|known| known == name) {
            unknown.push(name.to_owned());
        }
        None
    });
    unknown
}

/// Tells whether a text between two dollar signs can be the name of a macro.
fn is_macro_name(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_')
        && !name.contains(|letter: char| letter.is_whitespace() && letter != ' ')
        && name.split(':').next().is_some_and(|head| {
            head.chars().all(|l| l.is_ascii_uppercase() || l.is_ascii_digit() || "_-".contains(l))
        })
}

/// Puts values in the place of `$NAME$`; `$$` and what has no value stay as they are.
pub(super) fn replace(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        out.push('$');
        rest = after;
        let Some((name, behind)) = after.split_once('$') else { continue };
        if name.is_empty() {
            out.push('$');
            rest = behind;
        } else if is_macro_name(name) {
            if let Some(value) = value(name) {
                out.pop();
                out.push_str(&value);
            } else {
                out.push_str(name);
                out.push('$');
            }
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

/// Splits a command line into words.
///
/// Errors: why a shell is needed.
pub(super) fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut splitter = Splitter { rest: text, words: Vec::new(), word: None };
    while let Some(letter) = splitter.next() {
        match letter {
            ' ' | '\t' => splitter.end_word(),
            '\'' => splitter.single_quotes()?,
            '"' => splitter.double_quotes()?,
            '\\' => match splitter.next() {
                Some(escaped) => splitter.add(escaped),
                None => return Err("it ends with a backslash"),
            },
            '$' => splitter.dollar()?,
            '`' => return Err("it holds a command in backquotes"),
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '\n' => {
                return Err("it holds a pipe, a redirection or several commands");
            }
            '*' | '?' | '[' => return Err("it holds a pattern for names of files"),
            '{' | '}' if splitter.is_word_alone() => return Err("it holds a group"),
            '~' if splitter.word.is_none() => return Err("it holds a home folder"),
            '#' if splitter.word.is_none() => return Err("it holds a comment"),
            '!' if splitter.word.is_none() && splitter.words.is_empty() => {
                return Err("it turns a result around");
            }
            '=' if splitter.is_assignment() => return Err("it sets a variable"),
            letter => splitter.add(letter),
        }
    }
    splitter.end_word();
    Ok(splitter.words)
}

struct Splitter<'a> {
    rest: &'a str,
    words: Vec<String>,
    /// The word that is being read; `""` is a word as well.
    word: Option<String>,
}

impl Splitter<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    fn add(&mut self, letter: char) {
        self.word.get_or_insert_default().push(letter);
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    /// Tells whether a brace is a word by itself: only then it means something to a shell.
    fn is_word_alone(&self) -> bool {
        self.word.is_none() && self.rest.chars().next().is_none_or(|l| " \t".contains(l))
    }

    /// Tells whether the word before `=` is a variable in front of the command.
    fn is_assignment(&self) -> bool {
        let is_name = |word: &String| word.chars().all(|l| l.is_ascii_alphanumeric() || l == '_');
        self.words.is_empty() && self.word.as_ref().is_some_and(is_name)
    }

    fn single_quotes(&mut self) -> Result<(), &'static str> {
        let (inside, rest) = self.rest.split_once('\'').ok_or("a quote is not closed")?;
        self.word.get_or_insert_default().push_str(inside);
        self.rest = rest;
        Ok(())
    }

    fn double_quotes(&mut self) -> Result<(), &'static str> {
        self.word.get_or_insert_default();
        loop {
            match self.next().ok_or("a quote is not closed")? {
                '"' => return Ok(()),
                '`' => return Err("it holds a command in backquotes"),
                '$' => self.dollar()?,
                '\\' => match self.next().ok_or("a quote is not closed")? {
                    letter @ ('"' | '\\' | '$' | '`') => self.add(letter),
                    '\n' => {}
                    letter => {
                        self.add('\\');
                        self.add(letter);
                    }
                },
                letter => self.add(letter),
            }
        }
    }

    /// Reads what follows a dollar sign: a macro stays as it is, a shell's variable needs a shell.
    fn dollar(&mut self) -> Result<(), &'static str> {
        if let Some((name, rest)) = self.rest.split_once('$')
            && is_macro_name(name)
        {
            self.word.get_or_insert_default().push_str(&format!("${name}$"));
            self.rest = rest;
            return Ok(());
        }
        let is_double = self.rest.starts_with('$');
        let after = self.rest.trim_start_matches('$').chars().next();
        let starts_variable = |l: char| l.is_alphanumeric() || "_{(*@#?-!".contains(l);
        if after.is_some_and(starts_variable) || self.rest.starts_with("$$") {
            return Err("it holds a shell's variable");
        }
        self.add('$');
        if is_double {
            self.next();
            self.add('$');
        }
        Ok(())
    }
}
