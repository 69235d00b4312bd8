//! What macros stand for that speak of others: on-demand ones, counts, lists.
//!
//! Source: Nagios Core, "Understanding Macros and How They Work" (on-demand macros, on-demand group
//! macros) and "Standard Macros in Nagios"; of `ISVALIDTIME` and `NEXTVALIDTIME` also
//! `common/macros.c` (`grab_datetime_macro_r`).

use std::collections::BTreeMap;
use std::sync::Arc;

use noroshi_model::{CheckId, Status, Timestamp};

use super::{Board, Entry};
use crate::macros::Macros;

impl Board {
    /// Returns what each of `names` stands for in the texts of `id`; what is not there is empty.
    pub(super) fn asked(&self, id: &CheckId, names: &[String]) -> BTreeMap<String, String> {
        let value = |name: &String| (name.clone(), self.asked_for(id, name).unwrap_or_default());
        names.iter().map(value).collect()
    }

    fn asked_for(&self, id: &CheckId, name: &str) -> Option<String> {
        let Some((name, of)) = name.split_once(':') else { return self.own(id, name) };
        let is_of_check = name.strip_prefix('_').unwrap_or(name).starts_with("SERVICE")
            || ["LAST", "LONG", "MAX"]
                .iter()
                .any(|more| name.strip_prefix(more).is_some_and(|n| n.starts_with("SERVICE")));
        match name {
            "ISVALIDTIME" => {
                let (period, at) = self.period_and_moment(of)?;
                Some(u8::from(self.periods.holds(Some(period), at)).to_string())
            }
            "NEXTVALIDTIME" => {
                let (period, at) = self.period_and_moment(of)?;
                let next = self.periods.next(period, at);
                Some(next.map_or(0, Timestamp::as_secs).to_string())
            }
            "HOSTGROUPMEMBERS" => Some(self.members_of(of).collect::<Vec<_>>().join(",")),
            "HOSTGROUPNAME" | "HOSTGROUPALIAS" => self.members_of(of).next().map(|_| of.to_owned()),
            _ if is_of_check => {
                let (host, check) = of.split_once(':')?;
                let host = if host.is_empty() { &id.host } else { host };
                self.value_of(&CheckId::check(host, check), name)
            }
            _ => {
                let host = if of.is_empty() { &id.host } else { of };
                let host = CheckId::host(host);
                if self.entries.contains_key(&host) {
                    return self.value_of(&host, name);
                }
                let (group, delimiter) = of.split_once(':')?;
                let values = self.members_of(group);
                let values = values.filter_map(|host| self.value_of(&CheckId::host(host), name));
                Some(values.collect::<Vec<_>>().join(delimiter))
            }
        }
    }

    /// Reads `period` or `period:seconds since 1970`; without a moment now is meant. `None` when
    /// there is no such period, or what follows it is no moment.
    fn period_and_moment<'a>(&self, of: &'a str) -> Option<(&'a str, Timestamp)> {
        if self.periods.has(of) {
            return Some((of, self.wall));
        }
        let (period, at) = of.rsplit_once(':').filter(|(period, _)| self.periods.has(period))?;
        let seconds = at.parse::<u32>().ok()?;
        Some((period, Timestamp::from_secs(seconds.into())))
    }

    /// Returns what a macro stands for in the texts of another host or check.
    fn value_of(&self, id: &CheckId, name: &str) -> Option<String> {
        self.entries.get(id)?;
        let macros: Macros = self.macros(id);
        macros.value(name).or_else(|| self.own(id, name))
    }

    /// Walks over the hosts of a group, by name.
    fn members_of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a str> {
        let hosts = self.entries.values().filter(|entry| entry.id.is_host());
        hosts
            .filter(move |entry| entry.host.groups.iter().any(|name| name == group))
            .map(|entry| &*entry.id.host)
    }

    /// Returns what a macro stands for that counts or lists, seen from `id`.
    fn own(&self, id: &CheckId, name: &str) -> Option<String> {
        let host = CheckId { host: Arc::clone(&id.host), check: None };
        let depth = |id: &CheckId| {
            self.downtimes.of(id).filter(|(_, d)| d.is_active() && d.id == *id).count().to_string()
        };
        match name {
            "HOSTDOWNTIME" => Some(depth(&host)),
            "SERVICEDOWNTIME" => Some(depth(id)),
            "HOSTPARENTS" => Some(self.entries.get(&host)?.host.parents.join(",")),
            "HOSTCHILDREN" => {
                let hosts = self.entries.values().filter(|entry| entry.id.is_host());
                let children = hosts.filter(|e| e.host.parents.iter().any(|p| **p == *id.host));
                Some(children.map(|e| e.id.host.to_string()).collect::<Vec<_>>().join(","))
            }
            "HOSTGROUPMEMBERS" => {
                let group = self.entries.get(&host)?.host.groups.first()?;
                Some(self.members_of(group).collect::<Vec<_>>().join(","))
            }
            "HOSTGROUPALIAS" => self.entries.get(&host)?.host.groups.first().cloned(),
            _ => self.count(id, name).map(|count| count.to_string()),
        }
    }

    /// Counts what `TOTAL...` names; `None` when it names nothing.
    fn count(&self, id: &CheckId, name: &str) -> Option<usize> {
        let what = name.strip_prefix("TOTAL")?;
        let unhandled = what.strip_suffix("UNHANDLED");
        let (what, is_unhandled) = (unhandled.unwrap_or(what), unhandled.is_some());
        let is_of_host = what.starts_with("HOSTSERVICES");
        let wanted: &[Status] = match what.strip_prefix("HOSTSERVICES").unwrap_or(what) {
            "HOSTSUP" => &[Status::Up],
            "HOSTSDOWN" => &[Status::Down],
            "HOSTSUNREACHABLE" => &[Status::Unreachable],
            "HOSTPROBLEMS" => &[Status::Down, Status::Unreachable],
            "SERVICESOK" | "OK" => &[Status::Ok],
            "SERVICESWARNING" | "WARNING" => &[Status::Warning],
            "SERVICESCRITICAL" | "CRITICAL" => &[Status::Critical],
            "SERVICESUNKNOWN" | "UNKNOWN" => &[Status::Unknown],
            "SERVICEPROBLEMS" => &[Status::Warning, Status::Critical, Status::Unknown],
            "" if is_of_host => &[Status::Ok, Status::Warning, Status::Critical, Status::Unknown],
            _ => return None,
        };
        let is_wanted = |entry: &Entry| {
            let state = &entry.state;
            (!is_of_host || (entry.id.host == id.host && !entry.id.is_host()))
                && state.status.is_some_and(|status| wanted.contains(&status))
                && !(is_unhandled
                    && (state.acknowledgement.is_some() || self.downtimes.holds(&entry.id)))
        };
        Some(self.entries.values().filter(|entry| is_wanted(entry)).count())
    }
}
