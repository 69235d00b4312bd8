//! The other side: Nagios Core, which is given the same results.

use super::*;

pub(crate) struct Nagios {
    child: Child,
    folder: PathBuf,
}

impl Nagios {
    pub(crate) fn start(folder: &Path, subjects: &[Subject], options: &str) -> Self {
        let program = Path::new("/usr/sbin/nagios4");
        assert!(program.exists(), "apt-get install nagios4-core");
        fs::create_dir(folder.join("results")).unwrap();
        fs::write(folder.join("objects.cfg"), objects(subjects)).unwrap();
        fs::write(folder.join("nagios.cfg"), main_config(folder, options)).unwrap();
        fs::write(folder.join("resource.cfg"), "").unwrap();
        let output = fs::File::create(folder.join("output")).unwrap();
        let child = Command::new(program)
            .arg(folder.join("nagios.cfg"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut nagios = Self { child, folder: folder.to_owned() };
        let begun = Instant::now();
        while !folder.join("nagios.cmd").exists() || !folder.join("status.dat").exists() {
            let has_ended = nagios.child.try_wait().unwrap().is_some();
            let output = fs::read_to_string(folder.join("output")).unwrap();
            assert!(!has_ended && begun.elapsed() < ROUND_TIMEOUT, "Nagios does not run: {output}");
            std::thread::sleep(Duration::from_millis(50));
        }
        nagios
    }

    pub(crate) fn submit(&self, subjects: &[Subject], codes: &[u8], round: usize) {
        let mut commands = String::new();
        for (subject, code) in subjects.iter().zip(codes) {
            let host = &subject.id.host;
            match &subject.id.check {
                Some(check) => writeln!(
                    commands,
                    "[1] PROCESS_SERVICE_CHECK_RESULT;{host};{check};{code};round {round}"
                ),
                None => {
                    writeln!(commands, "[1] PROCESS_HOST_CHECK_RESULT;{host};{code};round {round}")
                }
            }
            .unwrap();
        }
        self.command(&commands);
    }

    pub(crate) fn command(&self, commands: &str) {
        let mut pipe =
            fs::OpenOptions::new().write(true).open(self.folder.join("nagios.cmd")).unwrap();
        pipe.write_all(commands.as_bytes()).unwrap();
    }

    /// Waits until what is shown is as wanted.
    pub(crate) fn wait_for(&self, is_so: impl Fn(&HashMap<CheckId, Shown>) -> bool) {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(self.folder.join("status.dat")).unwrap_or_default();
            if is_so(&read_status(&text)) {
                return;
            }
            assert!(begun.elapsed() < ROUND_TIMEOUT, "it never came about");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns how often each was told of, by Nagios' own log.
    pub(crate) fn told(&self) -> HashMap<CheckId, usize> {
        let log = fs::read_to_string(self.folder.join("nagios.log")).unwrap();
        let mut told = HashMap::new();
        for line in log.lines() {
            let id = if let Some((_, rest)) = line.split_once("SERVICE NOTIFICATION: ann;") {
                let mut parts = rest.split(';');
                CheckId::check(parts.next().unwrap(), parts.next().unwrap())
            } else if let Some((_, rest)) = line.split_once("HOST NOTIFICATION: ann;") {
                CheckId::host(rest.split(';').next().unwrap())
            } else {
                continue;
            };
            *told.entry(id).or_insert(0) += 1;
        }
        told
    }

    /// Waits until everything shows the round, and returns what is shown.
    pub(crate) fn wait(&self, subjects: &[Subject], round: usize) -> HashMap<CheckId, Shown> {
        let begun = Instant::now();
        let wanted = format!("round {round}");
        loop {
            let text = fs::read_to_string(self.folder.join("status.dat")).unwrap_or_default();
            let shown = read_status(&text);
            let is_there = |s: &Subject| shown.get(&s.id).is_some_and(|s| s.round == wanted);
            if subjects.iter().all(is_there) {
                return shown;
            }
            let log = fs::read_to_string(self.folder.join("nagios.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(5).collect();
            assert!(begun.elapsed() < ROUND_TIMEOUT, "round {round} never came: {tail:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Nagios {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

pub(crate) fn main_config(folder: &Path, options: &str) -> String {
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();
    let (folder, user) = (folder.display(), user.trim());
    format!(
        "log_file={folder}/nagios.log
cfg_file={folder}/objects.cfg
resource_file={folder}/resource.cfg
object_cache_file={folder}/objects.cache
precached_object_file={folder}/objects.precache
status_file={folder}/status.dat
status_update_interval=1
nagios_user={user}
nagios_group={user}
check_external_commands=1
command_file={folder}/nagios.cmd
lock_file={folder}/nagios.lock
temp_file={folder}/nagios.tmp
temp_path={folder}
check_result_path={folder}/results
query_socket={folder}/nagios.qh
use_syslog=0
log_passive_checks=0
interval_length=1
check_result_reaper_frequency=1
execute_service_checks=0
execute_host_checks=0
accept_passive_service_checks=1
accept_passive_host_checks=1
passive_host_checks_are_soft=1
enable_event_handlers=0
low_service_flap_threshold=20.0
high_service_flap_threshold=30.0
low_host_flap_threshold=20.0
high_host_flap_threshold=30.0
enable_predictive_host_dependency_checks=0
enable_predictive_service_dependency_checks=0
retain_state_information=0
check_for_updates=0
max_concurrent_checks=0
event_broker_options=0
date_format=iso8601
debug_level=0
{options}"
    )
}

pub(crate) fn objects(subjects: &[Subject]) -> String {
    let mut text = String::from(
        "define command {\n command_name none\n command_line /bin/true\n}
define timeperiod {\n timeperiod_name always\n alias always
 sunday 00:00-24:00\n monday 00:00-24:00\n tuesday 00:00-24:00\n wednesday 00:00-24:00
 thursday 00:00-24:00\n friday 00:00-24:00\n saturday 00:00-24:00\n}
define contact {\n contact_name ann\n host_notifications_enabled 1
 service_notifications_enabled 1\n host_notification_period always
 service_notification_period always\n host_notification_options d
 service_notification_options w,u,c\n host_notification_commands none
 service_notification_commands none\n}
define host {\n host_name calm\n address 127.0.0.1\n max_check_attempts 1
 active_checks_enabled 0\n contacts ann\n notification_period always\n}\n",
    );
    for subject in subjects {
        let (host, max) = (&subject.id.host, subject.attempts_max);
        let common = format!(
            " host_name {host}\n max_check_attempts {max}\n check_interval 1000
 retry_interval 1000\n active_checks_enabled 0\n passive_checks_enabled 1
 flap_detection_enabled 1\n contacts ann\n notification_period always
 notification_interval 0\n"
        );
        if let Some(check) = &subject.id.check {
            write!(
                text,
                "define service {{\n service_description {check}\n check_command none
 is_volatile {}\n{common}}}\n",
                u8::from(subject.is_volatile)
            )
        } else {
            let parents = subject.parent.iter().map(|parent| format!(" parents {parent}\n"));
            let parents = parents.collect::<String>();
            write!(text, "define host {{\n address 127.0.0.1\n{parents}{common}}}\n")
        }
        .unwrap();
        if let (Some(check), Some(master)) = (&subject.id.check, &subject.master) {
            let master = master.check.as_deref().unwrap();
            write!(
                text,
                "define servicedependency {{\n host_name {host}\n service_description {master}
 dependent_host_name {host}\n dependent_service_description {check}
 notification_failure_criteria u,c\n}}\n"
            )
            .unwrap();
        }
    }
    text
}

/// Reads Nagios' status file: blocks of `key=value`.
pub(crate) fn read_status(text: &str) -> HashMap<CheckId, Shown> {
    let mut shown = HashMap::new();
    let mut fields: HashMap<&str, &str> = HashMap::new();
    let mut is_wanted = false;
    for line in text.lines().map(str::trim) {
        if line.ends_with('{') {
            is_wanted = matches!(line, "hoststatus {" | "servicestatus {");
            fields.clear();
        } else if line == "}" && is_wanted {
            let field = |name: &str| fields.get(name).copied().unwrap_or_default();
            let host = field("host_name");
            let id = match field("service_description") {
                "" => CheckId::host(host),
                check => CheckId::check(host, check),
            };
            let percent: f64 = field("percent_state_change").parse().unwrap_or(-1.0);
            let state = Shown {
                status: field("current_state").parse().unwrap_or(9),
                is_hard: field("state_type") == "1",
                attempt: field("current_attempt").parse().unwrap_or(0),
                is_flapping: field("is_flapping") == "1",
                flapping: (percent * 100.0).round() as i64,
                is_acknowledged: field("problem_has_been_acknowledged") == "1",
                is_in_downtime: field("scheduled_downtime_depth") != "0",
                round: field("plugin_output").to_owned(),
            };
            shown.insert(id, state);
        } else if let Some((key, value)) = line.split_once('=') {
            fields.insert(key, value);
        }
    }
    shown
}
