//! Expanded objects in our words; what has no word here is noted.

mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use noroshi_alerts::{Config as Alerts, Contact as Person, StatusFilter};

use super::command;
use super::depend::{self, Outside};
use super::expand::{Host, Site};
use super::nrpe::{self, Nrpe};
use super::period::{self, PeriodOut, is_always};
use super::read::{Definition, Source};
use super::report::Notes;

/// What Nagios does with an object and we do not (yet): directive, value that means "nothing"
/// there, and what to say.
const UNCARRIED: [(&str, &str, &str); 6] = [
    ("first_notification_delay", "0", "the first notification is not delayed"),
    ("stalking_options", "n", "there is no stalking; every change of the output is not kept"),
    ("action_url", "", "there is one address, notes_url"),
    ("obsess", "1", "results are not handed on by a command"),
    ("process_perf_data", "1", "performance data always becomes series"),
    ("passive_checks_enabled", "1", "results may be handed in for every check"),
];

/// Kinds of objects that are not carried over, and what to do instead.
const UNCARRIED_KINDS: [(&str, &str); 4] = [
    ("hostescalation", "escalations are not carried over"),
    ("serviceescalation", "escalations are not carried over"),
    ("hostextinfo", "write notes and notes_url into the host"),
    ("serviceextinfo", "write notes and notes_url into the check"),
];

/// How long a passive check without freshness may be silent: it takes some duration.
const PASSIVE_SILENCE: Duration = Duration::from_hours(365 * 24);

/// When a check is run, and how often a problem is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Times {
    pub(super) interval: Duration,
    pub(super) retry: Duration,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
}

/// When flapping is looked for.
#[derive(Debug, PartialEq)]
pub(super) enum Flapping {
    Usual,
    Off,
    /// Ends at the first, begins at the second; per cent.
    Limits(f64, f64),
}

/// How a check looks.
#[derive(Debug)]
pub(super) enum Look {
    Command(Vec<String>),
    Nrpe(Nrpe),
    Passive(Duration),
}

/// `[host.NAME.check.NAME]`.
#[derive(Debug)]
pub(super) struct CheckOut {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) times: Times,
    /// When it runs; `None`: always.
    pub(super) period: Option<String>,
    pub(super) flapping: Flapping,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) is_volatile: bool,
    /// Nobody is told of it.
    pub(super) is_quiet: bool,
    pub(super) depends: BTreeSet<String>,
    /// What runs when its state changes.
    pub(super) on_change: Option<Vec<String>>,
    pub(super) servicegroups: BTreeSet<String>,
    pub(super) contacts: BTreeSet<String>,
    pub(super) notes: String,
    pub(super) notes_url: String,
}

/// `[host.NAME]`.
#[derive(Debug)]
pub(super) struct HostOut {
    pub(super) name: String,
    pub(super) alias: String,
    pub(super) address: String,
    pub(super) groups: Vec<String>,
    pub(super) parents: BTreeSet<String>,
    pub(super) depends: BTreeSet<String>,
    /// What runs when its state changes.
    pub(super) on_change: Option<Vec<String>>,
    pub(super) contacts: BTreeSet<String>,
    /// Nobody is told of it; its checks have their own word.
    pub(super) is_quiet: bool,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) notes: String,
    pub(super) notes_url: String,
    /// The plug-in that tells whether it is up; `None`: it is taken to be up.
    pub(super) alive: Option<Vec<String>>,
    pub(super) times: Times,
    /// When it is looked at; `None`: always.
    pub(super) period: Option<String>,
    pub(super) flapping: Flapping,
    pub(super) checks: Vec<CheckOut>,
}

/// `[contact.NAME]`.
#[derive(Debug)]
pub(super) struct ContactOut {
    pub(super) name: String,
    pub(super) email: Vec<String>,
    pub(super) pager: Vec<String>,
    /// Empty: all.
    pub(super) statuses: Vec<&'static str>,
}

/// All that is written.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) hosts: Vec<HostOut>,
    pub(super) contacts: Vec<ContactOut>,
    pub(super) periods: BTreeMap<String, PeriodOut>,
    pub(super) macros: BTreeMap<u16, String>,
    pub(super) remind: Option<Duration>,
}

/// Converts the whole site.
pub(super) fn convert(site: &Site, source: &Source, notes: &mut Notes) -> Converted {
    for definition in &source.definitions {
        let kind = UNCARRIED_KINDS.iter().find(|(kind, _)| *kind == definition.kind);
        if let (Some((kind, why)), true) = (kind, definition.text("register") != Some("0")) {
            notes.add(&definition.place, format!("{kind}: {why}"));
        }
    }
    let contacts: Vec<ContactOut> =
        site.contacts.iter().filter_map(|(name, contact)| person(name, contact, notes)).collect();
    let outside = depend::collect(site, source, notes);
    let mut context = Context {
        outside,
        site,
        source,
        notes,
        reached: BTreeSet::new(),
        remind: None,
        periods: BTreeMap::new(),
    };
    context.reached = contacts.iter().map(|contact| contact.name.clone()).collect();
    context.remind = context.usual_reminder();
    let hosts = site.hosts.iter().map(|(name, host)| context.host(name, host)).collect();
    for definition in source.definitions.iter().filter(|d| d.kind == "hostgroup") {
        let members = definition.text("hostgroup_name").and_then(|name| site.hostgroups.get(name));
        if members.is_some_and(BTreeSet::is_empty) {
            context.notes.add(&definition.place, "hostgroup: no host is in it");
        }
    }
    let (remind, periods) = (context.remind, context.periods);
    Converted { hosts, contacts, periods, macros: source.user_macros.clone(), remind }
}

/// Tells whether nobody is told of a host or service.
fn is_quiet(object: &Definition) -> bool {
    object.text("notifications_enabled") == Some("0")
}

/// Makes a contact; `None` when nothing would reach them.
fn person(name: &str, contact: &Definition, notes: &mut Notes) -> Option<ContactOut> {
    let mut addresses = |key: &str| -> Vec<String> {
        let Some(value) = contact.values.get(key) else { return Vec::new() };
        let text = value.text.as_deref().unwrap_or_default();
        let (good, bad): (Vec<String>, Vec<String>) = text
            .split([',', ' ', '\t'])
            .filter(|address| !address.is_empty())
            .map(str::to_owned)
            .partition(|address| is_address(address));
        for address in bad {
            notes.add(&value.place, format!("{key} {address:?} is no mail address"));
        }
        good
    };
    let (email, pager) = (addresses("email"), addresses("pager"));
    let mut statuses = Vec::new();
    let of_hosts = [("d", "down"), ("u", "unreachable")];
    let of_services = [("w", "warning"), ("u", "unknown"), ("c", "critical")];
    for (what, letters) in [("host", &of_hosts[..]), ("service", &of_services[..])] {
        let is_on = contact.text(&format!("{what}_notifications_enabled")) != Some("0");
        let key = format!("{what}_notification_options");
        let options = contact.text(&key).map(options).unwrap_or_default();
        let has = |letter: &str| options.contains(&letter) || options.contains(&"a");
        let chosen = letters.iter().filter(|(letter, _)| is_on && has(letter));
        statuses.extend(chosen.map(|(_, status)| *status));
    }
    for key in ["host_notification_period", "service_notification_period"] {
        if let Some(value) = contact.values.get(key) {
            let period = value.text.as_deref().unwrap_or_default();
            if period != "24x7" {
                notes.add(&value.place, format!("{key} {period}: told at any time"));
            }
        }
    }
    if (email.is_empty() && pager.is_empty()) || statuses.is_empty() {
        let what = format!("contact {name:?} is left out: no mail address, or told of nothing");
        notes.add(&contact.place, what);
        return None;
    }
    if statuses.len() == of_hosts.len() + of_services.len() {
        statuses.clear();
    }
    Some(ContactOut { name: name.to_owned(), email, pager, statuses })
}

/// Tells whether the room that sends can send to it.
fn is_address(text: &str) -> bool {
    let person = Person {
        name: "imported".to_owned(),
        email: vec![text.to_owned()],
        pager: Vec::new(),
        statuses: StatusFilter::new(Vec::new()),
        zone: jiff::tz::TimeZone::UTC,
    };
    let contacts = vec![person];
    noroshi_alerts::check(&Alerts { contacts, ..Alerts::default() }).is_empty()
}

/// Returns the letters of an option list; words such as `down` count by their first letter.
fn options(text: &str) -> Vec<&str> {
    text.split(',').filter_map(|option| option.trim().get(..1)).collect()
}

struct Context<'a> {
    outside: Outside,
    site: &'a Site,
    source: &'a Source,
    notes: &'a mut Notes,
    /// Contacts that are written.
    reached: BTreeSet<String>,
    remind: Option<Duration>,
    /// Time periods that are used.
    periods: BTreeMap<String, PeriodOut>,
}

impl Context<'_> {
    /// Returns a number of `interval_length`s as time.
    fn units(&self, count: f64) -> Duration {
        let seconds = count * self.source.number("interval_length", 60.0);
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }

    /// Returns the reminder that most objects have: there is one for all here.
    fn usual_reminder(&self) -> Option<Duration> {
        let mut counts: BTreeMap<Duration, usize> = BTreeMap::new();
        for host in self.site.hosts.values() {
            let services = host.services.values().map(|service| &service.definition);
            for object in services.chain([&host.definition]) {
                *counts.entry(self.reminder(object)).or_default() += 1;
            }
        }
        let (usual, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (!usual.is_zero()).then_some(usual)
    }

    fn reminder(&self, object: &Definition) -> Duration {
        self.units(number(object, "notification_interval", 30.0))
    }

    /// Notes what is not carried over of a host or service.
    fn note_uncarried(&mut self, object: &Definition, all_options: &[&str]) {
        for (name, nothing, why) in UNCARRIED {
            let Some(value) = object.values.get(name) else { continue };
            let text = value.text.as_deref().unwrap_or(nothing);
            let is_same_number = text.parse::<f64>().ok().is_some_and(|n| nothing.parse() == Ok(n));
            if text != nothing && !is_same_number {
                self.notes.add(&value.place, format!("{name} {text}: {why}"));
            }
        }
        if let Some(value) = object.values.get("notification_period")
            && let Some(period) = value.text.as_deref()
            && !self.site.timeperiods.get(period).is_some_and(is_always)
        {
            let what = format!("notification_period {period}: told at any time");
            self.notes.add(&value.place, what);
        }
        if let Some(value) = object.values.get("notification_options") {
            let chosen = options(value.text.as_deref().unwrap_or_default());
            let lacks = all_options.iter().any(|option| !chosen.contains(option));
            if lacks && !chosen.contains(&"a") {
                let what = "told of every status: choose `statuses` at the contacts";
                self.notes.add(&value.place, format!("notification_options: {what}"));
            }
        }
        let reminder = Some(self.reminder(object)).filter(|time| !time.is_zero());
        if let Some(value) = object.values.get("notification_interval")
            && reminder != self.remind
        {
            let text = value.text.as_deref().unwrap_or_default();
            let what = format!("notification_interval {text}: [alerts] remind is for all");
            self.notes.add(&value.place, what);
        }
    }

    fn times(&mut self, object: &Definition, timeout_setting: &str, timeout: f64) -> Times {
        let mut interval = self.units(number(object, "check_interval", 5.0));
        if interval < Duration::from_millis(100) {
            interval = self.units(5.0).max(Duration::from_secs(1));
            let place = object.values.get("check_interval").map_or(&object.place, |v| &v.place);
            self.notes.add(place, "check_interval 0: checked regularly here, every 5 units");
        }
        let retry = self.units(number(object, "retry_interval", 1.0));
        let retry = if retry < Duration::from_millis(100) { interval } else { retry };
        let timeout =
            Duration::from_secs_f64(self.source.number(timeout_setting, timeout).max(1.0));
        let attempts = number(object, "max_check_attempts", 3.0).max(1.0) as u32;
        Times { interval, retry, timeout: timeout.min(interval), attempts }
    }

    /// Returns the period in which something is checked, and sees to it that it is written.
    fn period(&mut self, object: &Definition) -> Option<String> {
        let value = object.values.get("check_period")?;
        let name = value.text.as_deref()?;
        let Some(definition) = self.site.timeperiods.get(name) else {
            self.notes.add(&value.place, format!("there is no timeperiod {name:?}: at any time"));
            return None;
        };
        if is_always(definition) {
            return None;
        }
        period::add(self.site, name, &mut self.periods, self.notes);
        Some(name.to_owned())
    }

    /// Returns when flapping is looked for; `kind` is `host` or `service`.
    fn flapping(&self, object: &Definition, kind: &str) -> Flapping {
        let is_off = object.text("flap_detection_enabled") == Some("0")
            || !self.source.is_on("enable_flap_detection");
        if is_off {
            return Flapping::Off;
        }
        let limit = |side: &str, usual: f64| {
            let own = number(object, &format!("{side}_flap_threshold"), 0.0);
            let of_all = self.source.number(&format!("{side}_{kind}_flap_threshold"), usual);
            if own > 0.0 { own } else { of_all }
        };
        // The program's own defaults, `include/defaults.h`; they are ours too.
        match (limit("low", 20.0), limit("high", 30.0)) {
            (20.0, 30.0) => Flapping::Usual,
            (low, high) if 0.0 <= low && low < high && high <= 100.0 => Flapping::Limits(low, high),
            _ => Flapping::Usual,
        }
    }

    fn host(&mut self, name: &str, host: &Host) -> HostOut {
        let definition = &host.definition;
        self.note_uncarried(definition, &["d", "u", "r"]);
        let times = self.times(definition, "host_check_timeout", 30.0);
        let variables = custom(definition, "_HOST");
        let is_active = definition.text("active_checks_enabled") != Some("0");
        let alive = definition.text("check_command").filter(|text| is_active && !text.is_empty());
        let none = BTreeMap::new;
        let alive = alive.and_then(|_| self.argv(definition, "check_command", &variables, none()));
        let on_change = self.handler(definition, &variables, none());
        let groups = self.site.hostgroups.iter();
        let groups = groups.filter(|(_, members)| members.contains(name));
        let checks = host.services.iter().map(|(description, service)| {
            self.check((name, host), description, &service.definition, &service.contacts)
        });
        let checks = checks.collect();
        let text = |key: &str| with_names(definition.text(key), name, definition, "");
        let short = |name: &String| name.trim_start_matches("_HOST").to_owned();
        HostOut {
            name: usable(name),
            alias: text("alias"),
            address: text("address"),
            groups: groups.map(|(group, _)| group.clone()).collect(),
            parents: host.parents.iter().map(|parent| usable(parent)).collect(),
            depends: self.outside.depends.remove(&(name.to_owned(), None)).unwrap_or_default(),
            on_change,
            contacts: self.contacts(definition, &host.contacts),
            is_quiet: is_quiet(definition),
            variables: variables.iter().map(|(name, v)| (short(name), v.clone())).collect(),
            notes: text("notes"),
            notes_url: text("notes_url"),
            alive,
            times,
            period: self.period(definition),
            flapping: self.flapping(definition, "host"),
            checks,
        }
    }

    fn check(
        &mut self,
        (host_name, host): (&str, &Host),
        description: &str,
        service: &Definition,
        contacts: &BTreeSet<String>,
    ) -> CheckOut {
        self.note_uncarried(service, &["w", "u", "c", "r"]);
        let times = self.times(service, "service_check_timeout", 60.0);
        let variables = custom(&host.definition, "_HOST");
        let is_active = service.text("active_checks_enabled") != Some("0");
        let argv = if is_active {
            self.argv(service, "check_command", &variables, custom(service, "_SERVICE"))
        } else {
            None
        };
        let look = match argv {
            None => Look::Passive(self.silence(service)),
            Some(argv) => nrpe::of(&argv).map_or(Look::Command(argv), Look::Nrpe),
        };
        let on_change = self.handler(service, &variables, custom(service, "_SERVICE"));
        let own = service.text("servicegroups").unwrap_or_default().split(',').map(str::trim);
        let mut servicegroups: BTreeSet<String> =
            own.filter(|group| !group.is_empty()).map(str::to_owned).collect();
        let object = (host_name.to_owned(), description.to_owned());
        servicegroups.extend(self.outside.servicegroups.remove(&object).unwrap_or_default());
        let object = (object.0, Some(object.1));
        let text =
            |key: &str| with_names(service.text(key), host_name, &host.definition, description);
        CheckOut {
            name: description.to_owned(),
            look,
            times,
            period: self.period(service),
            flapping: self.flapping(service, "service"),
            variables: custom(service, ""),
            depends: self.outside.depends.remove(&object).unwrap_or_default(),
            on_change,
            servicegroups,
            is_volatile: service.text("is_volatile").is_some_and(|text| text != "0"),
            is_quiet: is_quiet(service),
            contacts: self.contacts(service, contacts),
            notes: text("notes"),
            notes_url: text("notes_url"),
        }
    }

    /// Returns the contacts that are written, and notes when nobody is left: then everybody is.
    fn contacts(&mut self, object: &Definition, named: &BTreeSet<String>) -> BTreeSet<String> {
        let contacts: BTreeSet<String> = named & &self.reached;
        if contacts.is_empty() && !is_quiet(object) {
            let what = "nobody is told in Nagios; here its host's contacts are, or everybody";
            self.notes.add(&object.place, what);
        }
        contacts
    }

    /// Returns for how long a passive check may be silent.
    fn silence(&mut self, service: &Definition) -> Duration {
        let threshold = number(service, "freshness_threshold", 0.0);
        let latency = self.source.number("additional_freshness_latency", 15.0);
        if service.text("check_freshness") == Some("1") {
            let what = "freshness: a stale check is unknown; its check_command is not run";
            self.notes.add(&service.place, what);
            // Without a threshold Nagios waits for one interval (`base/checks.c`,
            // `is_service_result_fresh`); its latency is not known here and is below a second.
            let interval = self.units(number(service, "check_interval", 5.0));
            let own = Duration::try_from_secs_f64(threshold).ok().filter(|own| !own.is_zero());
            let latency = Duration::try_from_secs_f64(latency).unwrap_or_default();
            return own.unwrap_or(interval).saturating_add(latency).min(PASSIVE_SILENCE);
        }
        self.notes.add(&service.place, "passive without freshness: it may be silent for a year");
        PASSIVE_SILENCE
    }
}

fn number(object: &Definition, name: &str, default: f64) -> f64 {
    object.text(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Returns an object's custom variables by the names of their macros.
fn custom(object: &Definition, prefix: &str) -> BTreeMap<String, String> {
    let own = object.values.iter().filter_map(|(name, value)| {
        Some((format!("{prefix}{}", name.strip_prefix('_')?), value.text.clone()?))
    });
    own.collect()
}

/// Puts names into notes and addresses of pages, where macros are not expanded here.
fn with_names(text: Option<&str>, name: &str, host: &Definition, check: &str) -> String {
    command::replace(text.unwrap_or_default(), |macro_name| match macro_name {
        "HOSTNAME" => Some(name.to_owned()),
        "HOSTADDRESS" => Some(host.text("address").unwrap_or(name).to_owned()),
        "SERVICEDESC" => Some(check.to_owned()),
        _ => None,
    })
}

/// Returns a host's name without the slash, which parts host and check here.
pub(super) fn usable(name: &str) -> String {
    name.replace('/', "_")
}
