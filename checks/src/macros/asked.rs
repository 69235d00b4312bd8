//! Which macros of a text speak of others than its own host and check, and which of states at all.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// Macros that count or list what there is, and so need the whole board.
const OF_ALL: [&str; 35] = [
    "HOSTDOWNTIME",
    "SERVICEDOWNTIME",
    "HOSTPARENTS",
    "HOSTCHILDREN",
    "HOSTGROUPMEMBERS",
    "HOSTGROUPALIAS",
    "TOTALHOSTSERVICES",
    "TOTALHOSTSERVICESOK",
    "TOTALHOSTSERVICESWARNING",
    "TOTALHOSTSERVICESUNKNOWN",
    "TOTALHOSTSERVICESCRITICAL",
    "TOTALHOSTSUP",
    "TOTALHOSTSDOWN",
    "TOTALHOSTSUNREACHABLE",
    "TOTALHOSTSDOWNUNHANDLED",
    "TOTALHOSTSUNREACHABLEUNHANDLED",
    "TOTALHOSTPROBLEMS",
    "TOTALHOSTPROBLEMSUNHANDLED",
    "TOTALSERVICESOK",
    "TOTALSERVICESWARNING",
    "TOTALSERVICESCRITICAL",
    "TOTALSERVICESUNKNOWN",
    "TOTALSERVICESWARNINGUNHANDLED",
    "TOTALSERVICESCRITICALUNHANDLED",
    "TOTALSERVICESUNKNOWNUNHANDLED",
    "TOTALSERVICEPROBLEMS",
    "TOTALSERVICEPROBLEMSUNHANDLED",
    "HOSTGROUPNOTES",
    "HOSTGROUPNOTESURL",
    "HOSTGROUPACTIONURL",
    "HOSTACTIONURL",
    "SERVICEACTIONURL",
    "SERVICEGROUPNAME",
    "SERVICEGROUPNAMES",
    "SERVICECHECKCOMMAND",
];

/// Of these, what stands in the environment of plug-ins: not what counts or lists the whole site,
/// which would be done anew for each run.
pub(crate) fn in_environment() -> impl Iterator<Item = &'static str> {
    let is_dear = |name: &str| {
        name.starts_with("TOTAL") || name == "HOSTCHILDREN" || name == "HOSTGROUPMEMBERS"
    };
    OF_ALL.into_iter().filter(move |name| !is_dear(name))
}

/// Tells whether a macro needs the whole board.
pub(super) fn is_of_all(name: &str) -> bool {
    OF_ALL.contains(&name) || ["ISVALIDTIME", "NEXTVALIDTIME"].contains(&name)
}

/// Macros that the configuration alone gives; so do those that begin with [`CONFIGURED_FAMILIES`].
const CONFIGURED: [&str; 12] = [
    "HOSTNAME",
    "HOSTALIAS",
    "HOSTDISPLAYNAME",
    "HOSTADDRESS",
    "HOSTGROUPNAME",
    "HOSTGROUPNAMES",
    "HOSTNOTES",
    "HOSTNOTESURL",
    "SERVICEDESC",
    "SERVICEDISPLAYNAME",
    "SERVICENOTES",
    "SERVICENOTESURL",
];
/// See [`CONFIGURED`].
const CONFIGURED_FAMILIES: [&str; 4] = ["USER", "ARG", "_HOST", "_SERVICE"];

/// Tells whether a macro in `texts` may speak of a state: then states are copied for the run.
pub(crate) fn speak_of_states<'a>(texts: impl IntoIterator<Item = &'a str>) -> bool {
    let is_found = Cell::new(false);
    for text in texts {
        super::replace(text, |name| {
            let is_configured = CONFIGURED.contains(&name)
                || CONFIGURED_FAMILIES.iter().any(|family| name.starts_with(family));
            is_found.set(is_found.get() || !is_configured);
            // What is no macro goes on as text, in which another may begin.
            is_configured.then(String::new)
        });
    }
    is_found.get()
}

/// Returns the names of the macros in `texts` that need the board: on-demand ones, with a colon,
/// and those that count or list.
pub(crate) fn names<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let found = RefCell::new(BTreeSet::new());
    for text in texts {
        super::replace(text, |name| {
            if name.contains(':') || OF_ALL.contains(&name) {
                found.borrow_mut().insert(name.to_owned());
                return Some(String::new());
            }
            None
        });
    }
    found.into_inner().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_that_may_speak_of_states_have_them_copied() {
        for (text, may) in [
            ("plain", false),
            ("$USER1$/check_x -H $HOSTADDRESS$ $ARG12$ $_SERVICEPORT$ $$", false),
            ("$HOSTSTATE$", true),
            ("$HOSTNAME$ $LASTSERVICECHECK$", true),
            ("$SERVICESTATE:web1:ping$", true),
            ("costs 5$ or $HOSTOUTPUT$", true),
        ] {
            assert_eq!(speak_of_states([text]), may, "{text}");
        }
    }
}
