//! Real processes, ports and files of this machine.

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use noroshi_model::Perfdata;

use super::*;
use crate::plugin::understand_passive;

/// A process that is ended with the test.
struct Running(Child);

impl Running {
    /// Lets `sleep` run under a name of its own.
    fn start(folder: &Path, name: &str, seconds: &str) -> Self {
        let program = folder.join(name);
        if !program.exists() {
            fs::copy("/bin/sleep", &program).unwrap();
        }
        let child = Command::new(program).arg(seconds).stdin(Stdio::null()).spawn().unwrap();
        // It has its name once it was put in the place of what was forked.
        let comm = format!("/proc/{}/comm", child.id());
        let begun = name.get(..15).unwrap_or(name);
        while fs::read_to_string(&comm).unwrap().trim() != begun {
            std::thread::yield_now();
        }
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn now() -> Timestamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_secs(0) + since
}

/// Looks; returns the status, the text and the performance data.
fn look(look: &HostLook) -> (Status, String, Vec<Perfdata>) {
    seen(look.look(&Ground::here(None, now())))
}

fn seen((status, output): (Status, String)) -> (Status, String, Vec<Perfdata>) {
    let understood = understand_passive(status, &output);
    (status, understood.output, understood.perfdata)
}

fn value(perfdata: &[Perfdata], label: &str) -> f64 {
    perfdata.iter().find(|data| data.label == label).unwrap().value.unwrap()
}

fn process(change: impl FnOnce(&mut ProcessLook)) -> HostLook {
    let mut look = ProcessLook { min: 1, ..ProcessLook::default() };
    change(&mut look);
    HostLook::Process(look)
}

#[test]
fn processes_are_counted_by_name_command_line_and_user() {
    let folder = tempfile::tempdir().unwrap();
    // Longer than the kernel keeps, and the beginning of another.
    let name = "noroshi-look-at-me";
    let named = |min, max| {
        process(|look| (look.name, look.min, look.max) = (Some(name.to_owned()), min, max))
    };
    let none = look(&named(2, None));
    assert_eq!(
        (none.0, none.1.as_str()),
        (Status::Critical, "no process noroshi-look-at-me; at least 2 expected")
    );
    let _one = Running::start(folder.path(), name, "1001");
    let _other = Running::start(folder.path(), "noroshi-look-at-you", "1002");
    let one = look(&named(2, None));
    assert_eq!(
        (one.0, one.1.as_str()),
        (Status::Critical, "1 process noroshi-look-at-me; at least 2 expected")
    );
    let _two = Running::start(folder.path(), name, "1003");
    let two = look(&named(2, None));
    assert_eq!(two.0, Status::Ok, "{}", two.1);
    assert!(two.1.starts_with("2 processes noroshi-look-at-me, "), "{}", two.1);
    assert_eq!(value(&two.2, "processes"), 2.0);
    assert!(value(&two.2, "memory") > 100_000.0);
    let many = look(&named(1, Some(1)));
    assert_eq!(
        (many.0, many.1.as_str()),
        (Status::Critical, "2 processes noroshi-look-at-me; at most 1 expected")
    );
    let no = look(&named(0, Some(0)));
    assert_eq!(
        (no.0, no.1.as_str()),
        (Status::Critical, "2 processes noroshi-look-at-me; none expected")
    );

    let by = |pattern: &str, user: &str| {
        look(&process(|look| {
            (look.cmdline, look.user) = (Some(pattern.to_owned()), Some(user.to_owned()));
        }))
    };
    let me = rustix::process::getuid().as_raw().to_string();
    assert_eq!(value(&by("look-at-(me|you) 100[12]$", &me).2, "processes"), 2.0);
    let other = if me == "0" { "nobody" } else { "root" };
    let others = by("look-at-me 1001$", other);
    let expected = format!("no process /look-at-me 1001$/ of {other}; at least 1 expected");
    assert_eq!((others.0, others.1), (Status::Critical, expected));
    assert_eq!(by("x", "no-such-user").0, Status::Unknown);
    assert!(process(|look| look.cmdline = Some("(".to_owned())).fault().is_some());
    assert!(process(|_| {}).fault().is_some());
}

#[test]
fn what_processes_use_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let _idle = Running::start(folder.path(), "noroshi-memory", "1000");
    let small = look(&process(|look| {
        look.name = Some("noroshi-memory".to_owned());
        (look.memory_warning, look.memory_critical) = (Some(1000.0), Some(1e12));
    }));
    assert_eq!(small.0, Status::Warning);
    assert!(small.1.ends_with("limit 1000 B"), "{}", small.1);
    let idle = look(&process(|look| {
        (look.name, look.cpu_critical) = (Some("noroshi-memory".to_owned()), Some(50.0));
    }));
    assert_eq!((idle.0, value(&idle.2, "cpu")), (Status::Ok, 0.0), "{}", idle.1);
    let busy = Command::new("sh").args(["-c", "while :; do :; done # noroshi-busy"]).spawn();
    let busy = Running(busy.unwrap());
    let hot = look(&process(|look| {
        (look.cmdline, look.cpu_warning) = (Some("noroshi-busy$".to_owned()), Some(1.0));
    }));
    assert_eq!(hot.0, Status::Warning, "{}", hot.1);
    assert!(hot.1.contains("of a core, limit 1 % of a core"), "{}", hot.1);
    drop(busy);
}

#[test]
fn a_port_is_seen_without_connecting() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let at = |port, protocol, address: Option<&str>, is_listening| {
        let address = address.map(|address| address.parse().unwrap());
        look(&HostLook::Port(PortLook { port, protocol, address, is_listening }))
    };
    let (status, text, perfdata) = at(port, PortProtocol::Tcp, None, true);
    assert_eq!(
        (status, text),
        (Status::Ok, format!("TCP port {port} is listened to at 127.0.0.1"))
    );
    assert_eq!(value(&perfdata, "listeners"), 1.0);
    assert_eq!(at(port, PortProtocol::Tcp, Some("127.0.0.1"), true).0, Status::Ok);
    let (status, text, _) = at(port, PortProtocol::Tcp, Some("192.0.2.1"), true);
    let expected = format!("TCP port {port} is listened to at 127.0.0.1, not at 192.0.2.1");
    assert_eq!((status, text), (Status::Critical, expected));
    assert_eq!(at(port, PortProtocol::Tcp, None, false).0, Status::Critical);
    drop(tcp);
    let (status, text, _) = at(port, PortProtocol::Tcp, None, true);
    assert_eq!((status, text), (Status::Critical, format!("nothing listens at TCP port {port}")));
    assert_eq!(at(port, PortProtocol::Tcp, None, false).0, Status::Ok);

    let udp = UdpSocket::bind("[::]:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    let (status, text, _) = at(port, PortProtocol::Udp, Some("192.0.2.1"), true);
    assert_eq!((status, text), (Status::Ok, format!("UDP port {port} is listened to at ::")));
}

#[test]
fn files_are_judged_by_number_age_and_size() {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    let put = |name: &str, bytes: u64, age: u64| {
        let file = File::create(root.join(name)).unwrap();
        file.set_len(bytes).unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written - Duration::from_secs(age)).unwrap();
    };
    let of = |name: &str, change: &dyn Fn(&mut FileLook)| {
        let path = root.join(name).display().to_string();
        let mut file = FileLook { path, min: 1, ..FileLook::default() };
        change(&mut file);
        look(&HostLook::File(file))
    };
    let shown = |text: &str| text.replace(&format!("{}/", root.display()), "");
    let missing = of("a.gz", &|_| {});
    assert_eq!((missing.0, shown(&missing.1).as_str()), (Status::Critical, "a.gz does not exist"));
    put("a.gz", 2048, 3 * 86_400 + 60);
    put("b.gz", 10, 3600 + 60);
    put(".hidden.gz", 10, 0);
    put("c.txt", 10, 0);
    let old = of("a.gz", &|file| file.age_critical = Some(86_400.0));
    assert_eq!((old.0, shown(&old.1).as_str()), (Status::Critical, "a.gz is 3 d old, limit 1 d"));
    let fine = of("a.gz", &|_| {});
    assert_eq!((fine.0, value(&fine.2, "size")), (Status::Ok, 2048.0));
    assert!((value(&fine.2, "age") - 259_260.0).abs() < 60.0);
    let newest = of("*.gz", &|file| file.age_warning = Some(7200.0));
    assert_eq!(newest.0, Status::Ok);
    assert!(
        shown(&newest.1).starts_with("2 files match *.gz, newest b.gz: 1 h 1 min old"),
        "{}",
        newest.1
    );
    let small = of("*.gz", &|file| file.size_min = Some(100.0));
    assert_eq!(
        (small.0, shown(&small.1).as_str()),
        (Status::Critical, "b.gz has 10 B, at least 100 B expected")
    );
    let few = of("?.gz", &|file| file.min = 3);
    assert_eq!(
        (few.0, shown(&few.1).as_str()),
        (Status::Critical, "2 files match ?.gz; at least 3 expected")
    );
    let none = of("*/x", &|_| {});
    assert_eq!(
        (none.0, shown(&none.1).as_str()),
        (Status::Critical, "nothing matches */x; at least 1 expected")
    );
    assert_eq!(of("core*", &|file| (file.min, file.max) = (0, Some(0))).0, Status::Ok);
}

#[test]
fn files_outside_of_the_allowed_folders_are_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    let (open, secret) = (root.join("open"), root.join("open secret"));
    fs::create_dir(&open).unwrap();
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key"), "k").unwrap();
    fs::write(open.join("fine"), "f").unwrap();
    std::os::unix::fs::symlink(secret.join("key"), open.join("link")).unwrap();
    std::os::unix::fs::symlink(&secret, open.join("folder")).unwrap();
    let look = |path: &str| {
        let path = path.replace("ROOT", &root.display().to_string());
        let look = HostLook::File(FileLook { path, min: 1, ..FileLook::default() });
        seen(look.look(&Ground::here(Some(vec![open.clone()]), now())))
    };
    assert_eq!(look("ROOT/open/fine").0, Status::Ok);
    assert_eq!(look("ROOT/open/f?ne").0, Status::Ok);
    for path in [
        "ROOT/open secret/key",
        "ROOT/open/link",
        "ROOT/open/folder/key",
        "ROOT/open/folder/*",
        "ROOT/open/../open secret/key",
        "ROOT/*/key",
        "/etc/passwd",
        "etc/passwd",
    ] {
        let (status, text, _) = look(path);
        assert_eq!(status, Status::Unknown, "{path}: {text}");
        assert!(!text.contains("old,"), "{path}: {text}");
    }
    let why = look("/etc/passwd").1;
    assert_eq!(why, "the agent may not look at /etc/passwd: its config needs files = [\"/etc\"]");
}
