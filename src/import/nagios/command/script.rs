//! Macros in a shell's script: what a plug-in says must not be read as a program.
//!
//! Nagios puts values into the script and takes some letters out of outputs before
//! (`illegal_macro_output_chars`). Here the script names positional parameters, and the values are
//! arguments behind it: nothing in them is ever read by the shell.

use noroshi_checks::{is_macro, read_by_shell};

use super::is_macro_name;

/// Makes arguments of the macros in a script that a shell of this command line reads; returns their
/// names. `$USERn$` stay: only the configuration gives them.
pub(super) fn hand_over(argv: &mut Vec<String>) -> Vec<String> {
    let scripts = read_by_shell(argv);
    // More than one word is what another machine's shell reads, which takes no arguments.
    if scripts.len() != 1 {
        return Vec::new();
    }
    let at = scripts.start;
    // Behind the script stands the name that the shell has for itself, then `$1`.
    let given = argv.len().saturating_sub(at + 2);
    let mut reader =
        Reader { rest: &argv[at], out: String::new(), open: Vec::new(), macros: Vec::new(), given };
    reader.read();
    let (script, macros) = (reader.out, reader.macros);
    if macros.is_empty() {
        return macros;
    }
    argv[at] = script;
    if argv.len() == at + 1 {
        argv.push("sh".to_owned());
    }
    argv.extend(macros.iter().map(|name| format!("${name}$")));
    macros
}

/// What of a script is open at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Double,
    /// `(` or `$(`, in which quotes begin anew.
    Round,
    Backquote,
}

/// Reads a script, with the quotes in which each macro stands.
struct Reader<'a> {
    rest: &'a str,
    out: String,
    open: Vec<Open>,
    macros: Vec<String>,
    /// How many parameters the command line gives already.
    given: usize,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(letter) = self.rest.chars().next() {
            let after = &self.rest[letter.len_utf8()..];
            let is_double = self.open.last() == Some(&Open::Double);
            match letter {
                '$' => {
                    self.dollar(false);
                    continue;
                }
                '\\' => {
                    let escaped = after.chars().next().map_or(0, char::len_utf8);
                    self.copy(1 + escaped);
                    continue;
                }
                '\'' if !is_double => {
                    self.single_quotes();
                    continue;
                }
                '"' if is_double => drop(self.open.pop()),
                '"' => self.open.push(Open::Double),
                '`' if self.open.contains(&Open::Backquote) => {
                    while self.open.pop().is_some_and(|open| open != Open::Backquote) {}
                }
                '`' => self.open.push(Open::Backquote),
                '(' if !is_double => self.open.push(Open::Round),
                ')' if self.open.last() == Some(&Open::Round) => drop(self.open.pop()),
                _ => {}
            }
            self.copy(letter.len_utf8());
        }
    }

    fn copy(&mut self, bytes: usize) {
        let (head, rest) = self.rest.split_at(bytes);
        self.out.push_str(head);
        self.rest = rest;
    }

    /// Reads up to the closing quote: there a parameter must stand outside of the quotes.
    fn single_quotes(&mut self) {
        self.copy(1);
        while let Some(letter) = self.rest.chars().next() {
            if letter == '$' {
                self.dollar(true);
                continue;
            }
            self.copy(letter.len_utf8());
            if letter == '\'' {
                return;
            }
        }
    }

    /// Reads a dollar sign with the macro, if it is one.
    fn dollar(&mut self, is_single: bool) {
        if !is_single && self.rest.starts_with("$(") {
            self.open.push(Open::Round);
            return self.copy(2);
        }
        let Some((name, rest)) = self.rest[1..].split_once('$') else { return self.copy(1) };
        if name.is_empty() {
            return self.copy(2);
        }
        if name.starts_with("USER") && is_macro_name(name) {
            return self.copy(name.len() + 2);
        }
        if !is_macro_name(name) || !is_macro(name) {
            return self.copy(1);
        }
        let known = self.macros.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.macros.push(name.to_owned());
            self.macros.len() - 1
        });
        let parameter = format!("${{{}}}", self.given + index + 1);
        self.out.push_str(&if is_single { format!("'\"{parameter}\"'") } else { parameter });
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(argv: &[&str]) -> Vec<String> {
        let mut argv = argv.iter().map(|word| (*word).to_owned()).collect();
        hand_over(&mut argv);
        argv
    }

    #[test]
    fn macros_of_a_script_become_its_arguments_in_any_quotes() {
        for (script, expected) in [
            (r#"printf "%b" "$SERVICEOUTPUT$" | mail"#, r#"printf "%b" "${1}" | mail"#),
            ("echo $SERVICEOUTPUT$ | a", "echo ${1} | a"),
            ("echo 'is $SERVICEOUTPUT$' | a", r#"echo 'is '"${1}"'' | a"#),
            (r#"echo "it's $SERVICEOUTPUT$" | a"#, r#"echo "it's ${1}" | a"#),
            (r#"a "$(b '$SERVICEOUTPUT$')""#, r#"a "$(b ''"${1}"'')""#),
            ("a `b '$SERVICEOUTPUT$'` '$SERVICEOUTPUT$'", r#"a `b ''"${1}"''` ''"${1}"''"#),
            (r#"a \"'$SERVICEOUTPUT$'\" | b"#, r#"a \"''"${1}"''\" | b"#),
        ] {
            let argv = handed(&["sh", "-c", script]);
            assert_eq!(argv, ["sh", "-c", expected, "sh", "$SERVICEOUTPUT$"], "{script}");
        }
        let argv = handed(&["sh", "-c", "$USER1$/a $HOSTNAME$ $HOSTSTATE$ $HOSTNAME$ $$x $y | b"]);
        let script = "$USER1$/a ${1} ${2} ${1} $$x $y | b";
        assert_eq!(argv, ["sh", "-c", script, "sh", "$HOSTNAME$", "$HOSTSTATE$"]);
    }

    #[test]
    fn parameters_that_are_given_keep_their_numbers() {
        let argv = handed(&["/bin/bash", "-ec", "a $1 $HOSTNAME$ | b", "me", "one"]);
        assert_eq!(argv, ["/bin/bash", "-ec", "a $1 ${2} | b", "me", "one", "$HOSTNAME$"]);
        for same in [
            &["a", "-c", "$HOSTNAME$"][..],
            &["sh", "/usr/local/bin/x", "-c", "$HOSTNAME$"],
            &["sh", "-c", "date | wc"],
        ] {
            assert_eq!(handed(same), same);
        }
    }

    /// The output of a plug-in that anybody may write, through the shell that runs the handler.
    #[test]
    fn an_output_that_is_a_program_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made");
        let evil =
            format!("\"; touch {0}; ' `touch {0}` $(touch {0})\n& touch {0}", file.display());
        for line in [
            r#"printf "%s" "$SERVICEOUTPUT$" | cat"#,
            "printf '%s' '$SERVICEOUTPUT$' | cat",
            "printf %s $SERVICEOUTPUT$ | cat",
            r#"printf %s "$(printf '%s' '$SERVICEOUTPUT$')" | cat"#,
        ] {
            let made = super::super::make(line, &[], &super::super::Variables::default());
            assert_eq!(made.handed_over, ["SERVICEOUTPUT"]);
            let argv = made.argv.iter().map(|word| word.replace("$SERVICEOUTPUT$", &evil));
            let argv: Vec<String> = argv.collect();
            let ran = std::process::Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
            assert!(!file.exists(), "{line}");
            if !line.starts_with("printf %s $") {
                assert_eq!(String::from_utf8(ran.stdout).unwrap(), evil, "{line}");
            }
        }
    }
}
