//! The main job from end to end, on the real programs and real services: from the first start to
//! a mail with a graph in it, through a kill in the middle.
//!
//! Goal: each of the points that a newcomer sees. Method: one server with the configuration of
//! `examples/small.toml`, its addresses exchanged for loopback; a real nginx, a real Exim with
//! STARTTLS and a login, Debian's `check_http`, a real agent, a real Chromium.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

mod house;

use std::fs;
use std::path::Path;

use house::browser::Browser;
use house::nginx::Nginx;
use house::noroshi::{Server, start_agent};
use house::smtp::{self, Smtp};
use house::{PATIENCE, Process, http, wait_for};
use serde_json::json;

/// The check whose mails are counted: the machine that runs the test may have problems of its own.
const ABOUT: &str = "web1/http";

/// The host that is added in the browser.
const ADDED: &str = "shop 1";
/// What the newcomer takes as the admin's password.
const PASSWORD: &str = "a tower on every hill";

/// Returns the example with the addresses of this run in place of its own.
fn config(nginx: &Nginx, mail: &Smtp) -> String {
    let example = fs::read_to_string(house::root().join("examples/small.toml")).unwrap();
    let exchange = [
        ("server = \"mail.example.org\"", "server = \"localhost\"".to_owned()),
        ("port = 587", format!("port = {}", mail.port)),
        (
            "password = \"change me\"",
            format!(
                "password = {:?}\nca_file = \"{}\"",
                smtp::PASSWORD,
                mail.certificate().display()
            ),
        ),
        ("http://192.0.2.10/status", format!("http://{}/status", nginx.address())),
        ("192.0.2.10", "127.0.0.1".to_owned()),
        ("\"-p\", \"80\"", format!("\"-p\", \"{}\"", nginx.port)),
        ("interval = \"5s\"", "interval = \"1s\"".to_owned()),
        ("retry = \"2s\"", "retry = \"1s\"".to_owned()),
        ("for = \"2m\"", "for = \"2s\"\ninterval = \"1s\"\nretry = \"1s\"".to_owned()),
        ("/status\"", "/status\"\ninterval = \"1s\"".to_owned()),
        ("url = \"http://127.0.0.1:8420\"", String::new()),
    ];
    exchange.into_iter().fold(example, |text, (from, to)| {
        assert!(text.contains(from), "the example has no {from:?}");
        text.replace(from, &to)
    })
}

/// Returns the part of a mail with this type, decoded.
fn part(mail: &str, kind: &str) -> Vec<u8> {
    let parsed = mail_parser::MessageParser::default().parse(mail.as_bytes()).unwrap();
    let part = parsed
        .parts
        .iter()
        .find(|part| {
            use mail_parser::MimeHeaders;
            part.content_type().is_some_and(|content| {
                kind == format!("{}/{}", content.ctype(), content.subtype().unwrap_or_default())
            })
        })
        .unwrap_or_else(|| panic!("no part {kind} in\n{mail}"));
    part.contents().to_vec()
}

fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    mail.lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_else(|| panic!("no {name} in\n{mail}"))
}

#[test]
fn the_main_job_works_from_the_first_start_to_a_mail_with_a_graph() {
    let mut nginx = Nginx::start();
    let mail = Smtp::start();
    let mut server = Server::start(Some(&config(&nginx, &mail)));
    let shots = house::output();

    sees_itself(&server);
    let mut browser = Browser::start();
    signs_in_and_sees_graphs(&mut browser, &server, &shots);
    let _agent = second_machine_appears(&server);
    nginx_is_polled_and_checked(&server, &nginx);
    adds_a_host(&mut browser, &server, &shots);
    problem_is_seen_and_told(&mut browser, &server, &mut nginx, &mail, &shots);
    // The kills that follow break connections, which a browser reports as errors as well.
    assert_eq!(browser.errors(), Vec::<String>::new(), "errors in the pages' own programs");
    kill_in_the_middle_loses_and_doubles_nothing(&mut browser, &mut server, &mut nginx, &mail);
    let took = server.stop();
    assert!(took.as_secs() < 5, "the stop took {took:?}");
}

/// Points 1 to 4: the machine is watched at once, and nothing answers without a key.
fn sees_itself(server: &Server) {
    for expr in [
        "sum by (mode) (rate(node_cpu_seconds_total{instance=\"localhost\",mode=\"idle\"}[1m]))",
        "node_load1{instance=\"localhost\"}",
        "node_memory_MemAvailable_bytes{instance=\"localhost\"}",
        "node_filesystem_avail_bytes{instance=\"localhost\"}",
        "node_network_receive_bytes_total{instance=\"localhost\"}",
    ] {
        server.wait_for_value(expr, f64::is_finite);
    }
    // How full and how busy the machine is that runs the test is its own affair.
    for check in ["file systems", "memory", "load", "clock", "noroshi store", "configuration"] {
        wait_for(&format!("localhost/{check} to be judged"), PATIENCE, || {
            let view = server.check("localhost", check);
            let status = view["status"].as_str()?.to_owned();
            (status != "pending" && status != "unknown").then_some(())
        });
    }
    for path in ["/", "/api/v1/overview", "/graph.png?expr=up", "/metrics"] {
        let answer = http::send(&server.address, &format!("GET {path}"), None, "").unwrap();
        assert_eq!(answer.status, 401, "{path} answers without a key");
    }
    let graph = server.ask("/graph.png?expr=node_load1&width=800&height=300").unwrap();
    assert_eq!((graph.status, &graph.body[..8]), (200, &b"\x89PNG\r\n\x1a\n"[..]));
}

/// Points 1 and 4: the link of the first start lets in, once, and the pages show graphs.
fn signs_in_and_sees_graphs(browser: &mut Browser, server: &Server, shots: &Path) {
    let link = server.sign_in_link.clone().expect("the first start prints a link");
    browser.open(&link);
    browser.click("button[type=submit]");
    browser.wait("[data-testid=host-link]");
    browser.wait("[data-testid=banner-password]");
    browser.shots(shots, "first");
    browser.open(&format!("http://{}/settings", server.address));
    for field in ["New password", "New password again"] {
        let label = format!("label:has(span:text-is('{field}'))");
        let selector = format!("[data-testid=password-form] {label} input");
        browser.act(&json!({"do": "fill", "selector": selector, "text": PASSWORD}));
    }
    browser.click("[data-testid=password-form] button");
    browser.gone("[data-testid=banner-password]");
    browser.open(&format!("http://{}/", server.address));
    browser.wait("[data-testid=host-link]");
    browser.shots(shots, "overview");
    browser.open(&format!("http://{}/hosts/localhost", server.address));
    browser.wait("[data-testid=graph] canvas");
    wait_for("five graphs", PATIENCE, || {
        (browser.count("[data-testid=graph] canvas") >= 5).then_some(())
    });
    browser.shots(shots, "host");
    // The link worked once.
    let token = link.split("token=").nth(1).unwrap();
    let again = http::send(&server.address, &format!("GET /sign-in?token={token}"), None, "");
    let text = again.unwrap().text();
    assert!(!text.contains("Sign in as admin"), "the link works twice");
}

/// Point 6: a machine with an agent appears by itself.
fn second_machine_appears(server: &Server) -> Process {
    let token = server.command_text(&["token", "create", "web2", "--role", "agent"]);
    let file = server.folder.path().join("web2.token");
    fs::write(&file, token).unwrap();
    let spool = server.folder.path().join("web2-spool");
    let agent = start_agent(server, "web2", &file, &spool);
    server.wait_for_value("node_load1{instance=\"web2\"}", f64::is_finite);
    wait_for("host web2 to be up", PATIENCE, || {
        let overview = server.read("/api/v1/overview");
        let hosts = overview["hosts"].as_array().unwrap().clone();
        hosts.into_iter().find(|host| host["name"] == "web2" && host["state"]["status"] == "up")
    });
    wait_for("a check of web2", PATIENCE, || {
        (server.check("web2", "memory")["perfdata"][0]["value"].as_f64()? > 0.0).then_some(())
    });
    agent
}

/// Points 7 and 8: connections and requests are series, the plug-in and the threshold are checks.
fn nginx_is_polled_and_checked(server: &Server, nginx: &Nginx) {
    for _ in 0..20 {
        http::send(&nginx.address(), "GET /", None, "").unwrap();
    }
    server.wait_for_value("nginx_connections_active{instance=\"web1\"}", |n| n >= 1.0);
    server.wait_for_value("rate(nginx_http_requests_total{instance=\"web1\"}[1m])", |n| n > 0.0);
    let view = server.wait_for_check("web1", "http", "ok", "hard");
    assert_eq!(view["kind"], "plugin");
    assert!(view["output"].as_str().unwrap().starts_with("HTTP OK"), "{view}");
    assert_eq!(view["perfdata"][0]["label"], "time", "{view}");
    server
        .wait_for_value("noroshi_perfdata{instance=\"web1\",check=\"http\",label=\"time\"}", |n| {
            n > 0.0
        });
    server.wait_for_check("web1", "requests", "ok", "hard");
}

/// Points 9 and 4: soft, hard, one mail with a graph, seen without a reload; then one recovery.
fn problem_is_seen_and_told(
    browser: &mut Browser,
    server: &Server,
    nginx: &mut Nginx,
    mail: &Smtp,
    shots: &Path,
) {
    browser.open(&format!("http://{}/", server.address));
    browser.wait("[data-testid=host-link]");
    assert_eq!(browser.count("[data-testid=problem-row] >> text=http"), 0);
    nginx.stop();
    server.wait_for_check("web1", "http", "critical", "soft");
    let view = server.wait_for_check("web1", "http", "critical", "hard");
    assert_eq!((&view["attempt"], &view["attempts_max"]), (&json!(3), &json!(3)));
    browser.wait("[data-testid=problem-row] >> text=http");
    browser.shots(shots, "problem");

    let mails = mail.wait_for_mails(ABOUT, 1);
    fs::write(shots.join("problem.eml"), &mails[0]).unwrap();
    assert!(header(&mails[0], "Subject").contains("CRITICAL"), "{}", mails[0]);
    let text = String::from_utf8(part(&mails[0], "text/plain")).unwrap();
    for word in ["web1", "http", &format!("http://{}/hosts/web1", server.address)] {
        assert!(text.contains(word), "no {word:?} in\n{text}");
    }
    let html = String::from_utf8(part(&mails[0], "text/html")).unwrap();
    assert!(html.contains("cid:"), "the page has no inline picture");
    assert!(part(&mails[0], "image/png").starts_with(b"\x89PNG\r\n\x1a\n"));

    let page = "/hosts/web1/checks/http";
    browser.open(&format!("http://{}{page}", server.address));
    browser.wait("[data-testid=check-name]");
    browser.shots(shots, "check");

    nginx.begin();
    server.wait_for_check("web1", "http", "ok", "hard");
    let mails = mail.wait_for_mails(ABOUT, 2);
    fs::write(shots.join("recovery.eml"), &mails[1]).unwrap();
    let thread = header(&mails[0], "Message-ID");
    assert_eq!(header(&mails[1], "In-Reply-To"), thread, "the recovery is not in the thread");
}

/// A host is added on its page, is watched at once, and says who added it.
fn adds_a_host(browser: &mut Browser, server: &Server, shots: &Path) {
    browser.open(&format!("http://{}/hosts", server.address));
    browser.click("[data-testid=add-host]");
    let fill =
        |selector: &str, text: &str| json!({"do": "fill", "selector": selector, "text": text});
    browser.act(&fill("[data-testid=host-form-name]", ADDED));
    browser.act(&fill("[data-testid=host-form-address]", "127.0.0.1"));
    browser.act(&fill("[data-testid=host-form-parents]", "localhost"));
    browser.wait("[data-testid=host-form-gets]");
    browser.shots(shots, "add-host");
    browser.click("[data-testid=host-form-save]");
    browser.wait("[data-testid=host-source] >> text=added here by admin");
    browser.wait("[data-testid=availability-ratio]");
    browser.shots(shots, "added-host");
    let host = server.read("/api/v1/hosts/shop%201");
    assert_eq!(host["host"]["parents"], json!(["localhost"]), "{host}");
    assert_eq!(host["source"]["added"]["by"], "admin", "{host}");
}

/// Point 10: a kill between problem and recovery is followed by exactly one recovery.
fn kill_in_the_middle_loses_and_doubles_nothing(
    browser: &mut Browser,
    server: &mut Server,
    nginx: &mut Nginx,
    mail: &Smtp,
) {
    assert_eq!(mail.mails(ABOUT).len(), 2);
    nginx.stop();
    server.wait_for_check("web1", "http", "critical", "hard");
    // In the middle: the state is hard, the mail may be on its way or not.
    server.kill();
    server.begin();
    let view = server.wait_for_check("web1", "http", "critical", "hard");
    let problem = view["problem"].clone();
    assert!(problem.is_u64(), "the problem is forgotten: {view}");
    mail.wait_for_mails(ABOUT, 3);
    server.kill();
    server.begin();
    server.wait_for_check("web1", "http", "critical", "hard");
    let events = server.read("/api/v1/check?host=web1&check=http")["events"].clone();
    let hard = events.as_array().unwrap().iter().filter(|event| {
        event["body"]["kind"] == "hard_problem" && event["body"]["problem"] == problem
    });
    assert_eq!(hard.count(), 1, "history: {events}");
    nginx.begin();
    server.wait_for_check("web1", "http", "ok", "hard");
    mail.wait_for_mails(ABOUT, 4);
    // A further problem and its end: had anything been sent twice, there would be more.
    browser.open(&format!("http://{}/", server.address));
    browser.wait("[data-testid=host-link]");
    let added = server.read("/api/v1/hosts/shop%201");
    assert_eq!(added["source"]["kind"], "added", "an added host survives kills: {added}");
    nginx.stop();
    server.wait_for_check("web1", "http", "critical", "hard");
    nginx.begin();
    server.wait_for_check("web1", "http", "ok", "hard");
    let subjects: Vec<String> = mail
        .wait_for_mails(ABOUT, 6)
        .iter()
        .map(|mail| header(mail, "Subject").to_owned())
        .collect();
    assert_eq!(subjects.len(), 6, "{subjects:#?}");
}
