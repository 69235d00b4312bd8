//! Which macros of a text speak of others than its own host and check.

use std::cell::RefCell;
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
