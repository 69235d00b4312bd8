//! `check_nrpe` with its plain options becomes the built-in probe; with others it stays a plug-in.
//!
//! Source: NRPE 4.1 `src/check_nrpe.c` (`process_arguments`): `-a` takes all that follows it.

/// What `nrpe = { ... }` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Nrpe {
    pub(super) command: String,
    pub(super) arguments: Vec<String>,
    /// Empty: the host's address.
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// `-n`.
    pub(super) is_plain: bool,
    /// `-2`.
    pub(super) is_version_2: bool,
}

/// Reads a command; `None` when it is not `check_nrpe`, or has options that the probe has not.
pub(super) fn of(argv: &[String]) -> Option<Nrpe> {
    let (program, mut rest) = argv.split_first()?;
    if program.rsplit('/').next()? != "check_nrpe" {
        return None;
    }
    let mut nrpe = Nrpe::default();
    while let Some((option, more)) = rest.split_first() {
        rest = more;
        let mut value = || {
            let (value, more) = rest.split_first()?;
            rest = more;
            Some(value.clone())
        };
        match option.as_str() {
            "-H" | "--host" => nrpe.host = value()?,
            "-c" | "--command" => nrpe.command = value()?,
            "-p" | "--port" => nrpe.port = Some(value()?.parse().ok()?),
            // The check's own time-out holds.
            "-t" | "--timeout" => drop(value()?),
            "-n" | "--no-ssl" => nrpe.is_plain = true,
            "-2" | "--v2-packets-only" => nrpe.is_version_2 = true,
            "-a" | "--args" => {
                nrpe.arguments = rest.to_vec();
                break;
            }
            _ => return None,
        }
    }
    if nrpe.host == "$HOSTADDRESS$" {
        nrpe.host.clear();
    }
    let is_name = !nrpe.command.is_empty() && !nrpe.command.contains(['!', ' ', '$']);
    let is_one_each = nrpe.arguments.iter().all(|argument| !argument.contains('!'));
    (is_name && is_one_each).then_some(nrpe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Nrpe> {
        of(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn only_plain_calls_become_the_probe() {
        let plain = read("/usr/lib/nagios/plugins/check_nrpe -H $HOSTADDRESS$ -c check_load");
        let load = || Nrpe { command: "check_load".to_owned(), ..Nrpe::default() };
        assert_eq!(plain, Some(load()));
        let all = read("check_nrpe -n -2 -H 192.0.2.7 -p 5667 -t 30 -c check_disk -a 20% -w");
        let expected = Nrpe {
            command: "check_disk".to_owned(),
            arguments: vec!["20%".to_owned(), "-w".to_owned()],
            host: "192.0.2.7".to_owned(),
            port: Some(5667),
            is_plain: true,
            is_version_2: true,
        };
        assert_eq!(all, Some(expected));
        for other in [
            "check_load -w 1",
            "check_nrpe -H $HOSTADDRESS$",
            "check_nrpe -H a -c b -u",
            "check_nrpe -H a -c b -C /etc/cert.pem",
            "check_nrpe -H a -c $_HOSTNRPE$",
            "check_nrpe -H a -c b -a x!y",
            "check_nrpe -c",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
