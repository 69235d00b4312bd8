//! Macros: `$HOSTADDRESS$` and its like, expanded in each argument by itself.
//!
//! Source: Nagios Core `include/macros.h`, `common/macros.c`. A value is put in as it is and never
//! expanded again, so that no value can become two arguments or name another macro. Where a shell
//! reads an argument as a script, what it would run is taken out of the values. The exception is `$ARGn$`, whose text comes
//! from the configuration: macros in it are expanded first.

mod asked;
mod more;
mod shell;

use std::collections::BTreeMap;
use std::sync::Arc;

use noroshi_model::{StateType, Status, Timestamp};

use crate::spec::{CheckSpec, HostSpec};
use crate::state::State;
use crate::step::Rules;
pub(crate) use asked::{in_environment, names as names_asked, speak_of_states};
use more::More;
pub use shell::read_by_shell;

/// Macros of the host that are handed over in the environment, and of the check with `SERVICE` in
/// the place of `HOST`. Those that need the board are in [`in_environment`].
const OF_BOTH: [&str; 26] = [
    "HOSTSTATE",
    "HOSTSTATEID",
    "HOSTSTATETYPE",
    "HOSTATTEMPT",
    "MAXHOSTATTEMPTS",
    "HOSTOUTPUT",
    "LONGHOSTOUTPUT",
    "HOSTPERFDATA",
    "HOSTLATENCY",
    "HOSTEXECUTIONTIME",
    "HOSTPERCENTCHANGE",
    "HOSTDURATION",
    "HOSTDURATIONSEC",
    "HOSTPROBLEMID",
    "HOSTNOTES",
    "HOSTNOTESURL",
    "HOSTDISPLAYNAME",
    "HOSTACKAUTHOR",
    "HOSTACKAUTHORNAME",
    "HOSTACKAUTHORALIAS",
    "HOSTACKCOMMENT",
    "LASTHOSTCHECK",
    "LASTHOSTSTATE",
    "LASTHOSTSTATEID",
    "LASTHOSTSTATECHANGE",
    "HOSTNAME",
];
/// Those that only a host has.
const OF_HOSTS: [&str; 4] = ["HOSTADDRESS", "HOSTALIAS", "HOSTGROUPNAME", "HOSTGROUPNAMES"];
/// Those that only a check has.
const OF_CHECKS: [&str; 2] = ["SERVICEDESC", "SERVICEISVOLATILE"];
/// Those of the time of day.
const OF_TIME: [&str; 5] = ["TIMET", "LONGDATETIME", "SHORTDATETIME", "DATE", "TIME"];

/// Tells whether a macro of this name is known, as it stands between the dollar signs; of
/// `$USERn$` and `$ARGn$`, which only the configuration gives, nothing is said.
pub fn is_macro(name: &str) -> bool {
    if name.starts_with("_HOST") || name.starts_with("_SERVICE") {
        return true;
    }
    let base = name.split(':').next().unwrap_or_default();
    let of_check = CheckSpec::new(
        noroshi_model::CheckId::check("a", "b"),
        crate::probe::Probe::Passive(crate::probe::PassiveProbe::default()),
    );
    let any =
        Macros { check: Some(of_check), check_facts: Some(Facts::default()), ..Macros::default() };
    any.value(base).is_some() || asked::is_of_all(base)
}

/// How the value of a macro is put into a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// As it is.
    None,
    /// Percent-encoded but for letters, digits and `-._~` (RFC 3986, section 2.3); `$USERn$`, which
    /// only the configuration gives, as it is.
    Url,
    /// As between the quotes of a JSON text.
    Json,
}

impl Escape {
    fn apply(self, name: &str, value: String) -> String {
        match self {
            Self::Url if !name.starts_with("USER") => percent_encoded(&value),
            Self::None | Self::Url => value,
            Self::Json => {
                let quoted = serde_json::Value::String(value).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
        }
    }
}

fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What macros stand for at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Macros {
    pub(crate) host: Arc<HostSpec>,
    pub(crate) check: Option<CheckSpec>,
    pub(crate) host_facts: Facts,
    pub(crate) check_facts: Option<Facts>,
    /// `$USERn$`.
    pub(crate) user: Arc<BTreeMap<u16, String>>,
    /// What those stand for that speak of others than this host and check: see [`names_asked`].
    pub(crate) asked: BTreeMap<String, String>,
    pub(crate) now: Timestamp,
}

/// The state of a host or check as macros tell it.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    status: Option<Status>,
    state_type: StateType,
    attempt: u32,
    attempts_max: u32,
    output: String,
    long_output: String,
    since: Option<Timestamp>,
    last_check: Option<Timestamp>,
    problem: u64,
    more: More,
}

impl Default for Facts {
    fn default() -> Self {
        let flapping = crate::spec::FlappingSpec::default();
        let rules = Rules {
            is_host: true,
            attempts_max: 1,
            window: None,
            lasting: None,
            gap_max: std::time::Duration::ZERO,
            is_volatile: false,
            flapping,
        };
        Self::new(&State::pending(), &rules)
    }
}

impl Facts {
    pub(crate) fn new(state: &State, rules: &Rules) -> Self {
        Self {
            status: state.status,
            state_type: state.state_type,
            attempt: state.attempt,
            attempts_max: rules.attempts_max,
            output: state.output.clone(),
            long_output: state.long_output.clone(),
            since: state.since,
            last_check: state.started,
            problem: state.problem.map_or(0, |problem| problem.sequence),
            more: More::new(state, rules.is_host),
        }
    }

    /// Returns what a macro stands for, by its name with `of` (`HOST` or `SERVICE`) in it, as in
    /// `HOSTSTATE`, `LASTHOSTCHECK` or `MAXHOSTATTEMPTS`.
    fn named(&self, name: &str, of: &str, now: Timestamp) -> Option<String> {
        let with = |first: &&str| name.strip_prefix(*first).and_then(|n| n.strip_prefix(of));
        let (first, rest) =
            ["", "LAST", "LONG", "MAX"].iter().find_map(|first| Some((*first, with(first)?)))?;
        let name = format!("{first}{rest}");
        self.value(&name).or_else(|| more::duration(&name, self.since, now))
    }

    /// Returns what a macro stands for, by its name without `HOST` or `SERVICE`.
    fn value(&self, name: &str) -> Option<String> {
        let seconds = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_secs).to_string();
        Some(match name {
            "STATE" => self.status.map_or("PENDING".to_owned(), |s| s.as_str().to_uppercase()),
            "STATEID" => self.status.map_or(0, Status::code).to_string(),
            "STATETYPE" => match self.state_type {
                StateType::Soft => "SOFT".to_owned(),
                StateType::Hard => "HARD".to_owned(),
            },
            "ATTEMPT" => self.attempt.to_string(),
            "MAXATTEMPTS" => self.attempts_max.to_string(),
            "OUTPUT" => self.output.clone(),
            "LONGOUTPUT" => self.long_output.clone(),
            "LASTSTATECHANGE" => seconds(self.since),
            "LASTCHECK" => seconds(self.last_check),
            "PROBLEMID" => self.problem.to_string(),
            _ => return self.more.value(name),
        })
    }
}

impl Macros {
    /// Expands the macros in one text. What is no macro stays as it is; `$$` is one `$`.
    pub(crate) fn expand(&self, text: &str, arguments: &[String]) -> String {
        replace(text, |name| match argument(name, arguments) {
            Some(argument) => Some(replace(argument, |name| self.value(name))),
            None => self.value(name),
        })
    }

    /// Expands the macros in one text of another language.
    pub(crate) fn expand_escaped(&self, text: &str, escape: Escape) -> String {
        replace(text, |name| Some(escape.apply(name, self.value(name)?)))
    }

    /// Sets whether the state that macros tell is confirmed: the end of a soft problem leaves a
    /// hard OK, and is a soft change all the same.
    pub(crate) fn set_change(&mut self, state_type: StateType, attempt: Option<u32>) {
        let facts = self.check_facts.as_mut().unwrap_or(&mut self.host_facts);
        facts.state_type = state_type;
        facts.attempt = attempt.unwrap_or(facts.attempt);
    }

    /// Returns the macros as environment variables: `NAGIOS_HOSTNAME`, `NAGIOS__HOSTRACK`,
    /// `NAGIOS_ARG1`. `$USERn$` stay out, as in Nagios: they hold secrets.
    pub(crate) fn environment(&self, arguments: &[String]) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        // A NUL cannot stand in an environment.
        let mut put = |name: String, value: String| {
            env.insert(format!("NAGIOS_{name}"), value.replace('\0', ""));
        };
        let of_checks = OF_BOTH.iter().map(|name| name.replacen("HOST", "SERVICE", 1));
        let names = OF_BOTH.iter().chain(&OF_HOSTS).chain(&OF_CHECKS).chain(&OF_TIME);
        let names = names.copied().chain(in_environment()).map(str::to_owned);
        for name in names.chain(of_checks) {
            if let Some(value) = self.value(&name) {
                put(name, value);
            }
        }
        let variables = [
            Some(("_HOST", &self.host.variables)),
            self.check.as_ref().map(|check| ("_SERVICE", &check.variables)),
        ];
        for (prefix, variables) in variables.into_iter().flatten() {
            for (name, value) in variables {
                put(format!("{prefix}{}", name.to_uppercase()), value.clone());
            }
        }
        for (index, argument) in arguments.iter().enumerate() {
            let value = replace(argument, |name| self.value(name));
            put(format!("ARG{}", index + 1), value);
        }
        env
    }

    /// Expands the macros in each argument of a command line. In what a shell reads as a script,
    /// letters that mean something to it are taken out of the values.
    pub(crate) fn expand_all(&self, argv: &[String], arguments: &[String]) -> Vec<String> {
        let scripts = read_by_shell(argv);
        let expand = |(index, text): (usize, &String)| {
            if !scripts.contains(&index) {
                return self.expand(text, arguments);
            }
            let value = |name: &str| Some(shell::harmless(name, self.value(name)?));
            replace(text, |name| match argument(name, arguments) {
                Some(argument) => Some(replace(argument, value)),
                None => value(name),
            })
        };
        argv.iter().enumerate().map(expand).collect()
    }

    /// Returns what a macro stands for; `None` when there is none of that name.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        if let Some(asked) = self.asked.get(name) {
            return Some(asked.clone());
        }
        if let Some(number) = name.strip_prefix("USER") {
            return self.user.get(&number.parse().ok()?).cloned();
        }
        if let Some(name) = name.strip_prefix("_HOST") {
            return custom(&self.host.variables, name).or_else(|| custom(&self.host.labels, name));
        }
        if let (Some(name), Some(check)) = (name.strip_prefix("_SERVICE"), &self.check) {
            return custom(&check.variables, name).or_else(|| custom(&check.labels, name));
        }
        let own = self.host_value(name).or_else(|| self.check_value(name));
        own.or_else(|| more::time(name, self.now))
    }

    fn host_value(&self, name: &str) -> Option<String> {
        let host = &*self.host;
        let or_name = |text: &String| if text.is_empty() { &host.name } else { text }.clone();
        Some(match name {
            "HOSTNAME" => host.name.clone(),
            "HOSTALIAS" | "HOSTDISPLAYNAME" => or_name(&host.alias),
            "HOSTADDRESS" => or_name(&host.address),
            "HOSTGROUPNAME" => host.groups.first().cloned().unwrap_or_default(),
            "HOSTGROUPNAMES" => host.groups.join(","),
            "HOSTNOTES" => host.notes.clone(),
            "HOSTNOTESURL" => host.notes_url.clone(),
            _ => self.host_facts.named(name, "HOST", self.now)?,
        })
    }

    fn check_value(&self, name: &str) -> Option<String> {
        let (check, facts) = (self.check.as_ref()?, self.check_facts.as_ref()?);
        Some(match name {
            "SERVICEDESC" | "SERVICEDISPLAYNAME" => check.id.check.as_ref()?.to_string(),
            "SERVICENOTES" => check.notes.clone(),
            "SERVICENOTESURL" => check.notes_url.clone(),
            "SERVICEISVOLATILE" => u8::from(check.is_volatile).to_string(),
            _ => facts.named(name, "SERVICE", self.now)?,
        })
    }
}

/// Returns the argument that `ARGn` names; empty when the command line has fewer.
fn argument<'a>(name: &str, arguments: &'a [String]) -> Option<&'a str> {
    let number: usize = name.strip_prefix("ARG")?.parse().ok()?;
    Some(arguments.get(number.checked_sub(1)?).map_or("", String::as_str))
}

/// Finds a custom variable, in any case.
fn custom(variables: &BTreeMap<String, String>, name: &str) -> Option<String> {
    variables.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone())
}

/// Puts values in the place of `$NAME$`.
fn replace(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let macro_end = after.split_once('$');
        if let Some(("", after)) = macro_end {
            out.push('$');
            rest = after;
        } else if let Some((value, after)) = macro_end.and_then(|(n, a)| Some((value(n)?, a))) {
            out.push_str(&value);
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use noroshi_model::CheckId;

    use super::*;
    use crate::probe::{PassiveProbe, Probe};

    fn macros() -> Macros {
        let mut host = HostSpec::new("web1", "192.0.2.7");
        host.groups = vec!["web".to_owned(), "dmz".to_owned()];
        host.variables.insert("SNMP_COMMUNITY".to_owned(), "pub lic; rm -rf $USER1$".to_owned());
        host.labels.insert("site".to_owned(), "tokyo".to_owned());
        let probe = Probe::Passive(PassiveProbe::default());
        let mut check = CheckSpec::new(CheckId::check("web1", "disk /var"), probe);
        check.variables.insert("PORT".to_owned(), "8080".to_owned());
        Macros {
            host: Arc::new(host),
            check: Some(check),
            check_facts: Some(Facts::default()),
            user: Arc::new(BTreeMap::from([(1, "/usr/lib/nagios/plugins".to_owned())])),
            ..Macros::default()
        }
    }

    fn expand(text: &str) -> String {
        let arguments = ["80".to_owned(), "$HOSTNAME$:$_SERVICEPORT$".to_owned()];
        macros().expand(text, &arguments)
    }

    #[test]
    fn macros_are_expanded_as_in_nagios() {
        let cases = [
            ("$USER1$/check_tcp", "/usr/lib/nagios/plugins/check_tcp"),
            ("$HOSTNAME$ $HOSTADDRESS$ $HOSTALIAS$", "web1 192.0.2.7 web1"),
            ("$SERVICEDESC$ in $HOSTGROUPNAMES$", "disk /var in web,dmz"),
            ("-p $ARG1$ $ARG2$ $ARG3$.", "-p 80 web1:8080 ."),
            ("$HOSTSTATE$ $SERVICESTATEID$ $SERVICESTATETYPE$", "PENDING 0 HARD"),
            ("$_HOSTSITE$ $_serviceport$", "tokyo $_serviceport$"),
            ("$SERVICEATTEMPT$/$MAXSERVICEATTEMPTS$", "1/1"),
        ];
        for (text, want) in cases {
            assert_eq!(expand(text), want, "{text}");
        }
    }

    #[test]
    fn in_urls_and_in_json_values_are_escaped() {
        let url = "$USER1$?q=$_HOSTSNMP_COMMUNITY$&s=$SERVICEDESC$";
        let want =
            "/usr/lib/nagios/plugins?q=pub%20lic%3B%20rm%20-rf%20%24USER1%24&s=disk%20%2Fvar";
        assert_eq!(macros().expand_escaped(url, Escape::Url), want);
        let mut macros = macros();
        Arc::make_mut(&mut macros.host).alias = "a \"b\"\n\\".to_owned();
        let json = macros.expand_escaped(r#"{"a": "$HOSTALIAS$"}"#, Escape::Json);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["a"], macros.host.alias.as_str());
    }

    #[test]
    fn the_environment_has_macros_as_nagios_names_them_but_no_secrets() {
        let env = macros().environment(&["80".to_owned(), "$HOSTNAME$".to_owned()]);
        let cases = [
            ("NAGIOS_HOSTADDRESS", "192.0.2.7"),
            ("NAGIOS_SERVICEDESC", "disk /var"),
            ("NAGIOS_SERVICESTATETYPE", "HARD"),
            ("NAGIOS_MAXSERVICEATTEMPTS", "1"),
            ("NAGIOS__SERVICEPORT", "8080"),
            ("NAGIOS_ARG2", "web1"),
            ("NAGIOS_SERVICEPERFDATA", ""),
            ("NAGIOS_LASTHOSTSTATE", "PENDING"),
            ("NAGIOS_HOSTDURATIONSEC", "0"),
            ("NAGIOS_SERVICELATENCY", "0.000"),
            ("NAGIOS_SERVICEACKAUTHOR", ""),
            ("NAGIOS_TIMET", "0"),
        ];
        for (name, want) in cases {
            assert_eq!(env.get(name).map(String::as_str), Some(want), "{name}");
        }
        assert!(!env.keys().any(|name| name.starts_with("NAGIOS_USER")), "{env:?}");
        assert!(!env.contains_key("NAGIOS_SERVICENAME"));
    }

    #[test]
    fn values_are_never_expanded_again_and_what_is_no_macro_stays() {
        assert_eq!(expand("$_HOSTSNMP_COMMUNITY$"), "pub lic; rm -rf $USER1$");
        assert_eq!(expand("$NOSUCH$ costs $$5 and $HOSTNAME$"), "$NOSUCH$ costs $5 and web1");
        assert_eq!(expand("^a$"), "^a$");
        assert_eq!(expand("$"), "$");
        assert_eq!(expand("$USER99$"), "$USER99$");
    }
}
