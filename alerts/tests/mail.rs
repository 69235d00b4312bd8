//! Mail through a real conversation: what arrives, how often, and what a kill can do.

#![allow(clippy::unwrap_used)]

mod house;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use house::smtp_server::{At, Fault, PASSWORD, Received, SmtpServer};
use house::{Mortal, START, World, config, contact, problem, recovery, stuck, web1};
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use noroshi_alerts::{Config, NotificationState, Secret, Security, TestError};
use noroshi_model::{CheckId, Clock, EventBody, Records};

fn parse(mail: &Received) -> Message<'_> {
    MessageParser::default().parse(&mail.source).expect("a mail that can be parsed")
}

fn subjects(mails: &[Received]) -> Vec<String> {
    mails.iter().map(|mail| parse(mail).subject().unwrap().to_owned()).collect()
}

/// Keeps a mail beside the test's program, to be looked at in a mail client.
fn keep(name: &str, mail: &Received) {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.eml"));
    std::fs::write(path, &mail.source).unwrap();
}

/// Returns the tree of the mail's parts.
fn structure(mail: &Message<'_>) -> String {
    fn part_of(mail: &Message<'_>, number: u32) -> String {
        let part = &mail.parts[number as usize];
        let kind = part.content_type().expect("a type");
        match &part.body {
            PartType::Multipart(parts) => {
                let parts: Vec<String> =
                    parts.iter().map(|&number| part_of(mail, number)).collect();
                format!("{}({})", kind.subtype().unwrap(), parts.join(" "))
            }
            _ => format!("{}/{}", kind.ctype(), kind.subtype().unwrap()),
        }
    }
    part_of(mail, 0)
}

/// Goal: one mail for a problem, one for its end, in one thread, with all that somebody who is
/// woken needs. Method: a conversation with STARTTLS and login, read back by another MIME parser.
#[tokio::test]
async fn a_problem_and_its_end_arrive_with_all_that_is_needed() {
    let server = SmtpServer::start(Security::Starttls, "PLAIN LOGIN").await;
    let world = World::new();
    let life = world.live(config(server.smtp()));
    let first = world.happen(&web1(), problem(1));
    let mails = server.received(1).await;
    assert!(mails[0].is_encrypted);
    assert_eq!(mails[0].user.as_deref(), Some("noroshi"));
    assert_eq!((mails[0].from.as_str(), mails[0].to.len()), ("noroshi@example.net", 1));
    assert_eq!(mails[0].to[0], "ann@example.net");

    let mail = parse(&mails[0]);
    assert_eq!(mail.subject(), Some("[CRITICAL] web1/http: connection refused — 接続拒否"));
    assert_eq!(mail.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    let id = mail.message_id().unwrap();
    assert!(id.starts_with("noroshi.") && id.contains(&format!(".{first}.ann.")), "{id}");
    assert!(id.ends_with("@example.net"), "{id}");

    let text = mail.body_text(0).unwrap();
    for fact in [
        "CRITICAL: web1/http\r\nconnection refused — 接続拒否\r\n",
        "web1 (Front server 1), 192.0.2.10",
        "web, tokyo",
        "CRITICAL, was OK (attempt 3 of 3)",
        "2026-11-21 13:00:45 +09:00 (3 min 21 s)",
        "connect to 192.0.2.10 port 80",
        "Restart nginx: systemctl restart nginx",
        "https://wiki.example.net/nginx?a=1&b=2",
        "https://noroshi.example.net/hosts/web1/checks/http",
        "Told to contact ann; decided 2026-11-21 13:04:06 +09:00. Why: nobody is named",
    ] {
        assert!(text.replace("\r\n", "\n").contains(&fact.replace("\r\n", "\n")), "{fact}\n{text}");
    }
    let html = mail.body_html(0).unwrap();
    assert!(html.contains("&lt;no answer &amp; no luck&gt;"), "{html}");
    assert!(html.contains("https://noroshi.example.net/hosts/web1/checks/http"));
    // The counter grows by 120 a second since five minutes before the start, by 60 before.
    assert!(text.contains("120/s (warning 80/s, critical 100/s)"), "{text}");
    let image = mail.attachments().next().expect("a graph");
    assert_eq!(image.content_id(), Some("graph@noroshi"));
    assert!(html.contains("src=\"cid:graph@noroshi\""), "{html}");
    let png = image.contents();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    assert!(png.len() < 40 * 1024, "{} bytes", png.len());
    keep("problem", &mails[0]);
    assert_eq!(structure(&mail), "alternative(text/plain related(text/html image/png))");

    world.happen(&web1(), recovery(1));
    let mails = server.received(2).await;
    let end = parse(&mails[1]);
    assert_eq!(end.subject(), Some("[RECOVERED] web1/http: HTTP/1.1 200 OK in 12 ms"));
    assert_eq!(end.in_reply_to().as_text(), Some(id));
    assert_eq!(end.references().as_text(), Some(id));
    assert_ne!(end.message_id(), Some(id));
    assert!(!end.body_text(0).unwrap().contains("Restart nginx"), "nothing is left to do");
    keep("recovery", &mails[1]);
    life.stop().await;
    assert_eq!(server.mails().len(), 2);
}

/// Every way to protect a connection and to sign in.
#[tokio::test]
async fn every_kind_of_connection_carries_mail() {
    let cases = [
        (Security::Starttls, "LOGIN", true),
        (Security::Tls, "PLAIN", true),
        (Security::None, "", false),
    ];
    for (security, mechanisms, signs_in) in cases {
        let server = SmtpServer::start(security, mechanisms).await;
        let mut smtp = server.smtp();
        if !signs_in {
            smtp.user = None;
        }
        let world = World::new();
        let life = world.live(config(smtp));
        world.happen(&web1(), problem(1));
        let mails = server.received(1).await;
        assert_eq!(mails[0].is_encrypted, security != Security::None);
        assert_eq!(mails[0].user.is_some(), signs_in);
        life.stop().await;
    }
}

/// Nothing but the server's name and the configured authority makes a server trusted, and nothing
/// goes to a server that is not.
#[tokio::test]
async fn no_password_goes_to_a_server_that_is_not_trusted() {
    let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
    let other = SmtpServer::start(Security::Starttls, "PLAIN").await;
    let plain = SmtpServer::start(Security::None, "PLAIN").await;
    let mut foreign = server.smtp();
    foreign.ca_pem = other.smtp().ca_pem;
    let mut stripped = plain.smtp();
    stripped.security = Security::Starttls;
    for (smtp, expected) in [(foreign, "tls: "), (stripped, "does not offer STARTTLS")] {
        let world = World::new();
        let life = world.live(config(smtp));
        world.happen(&web1(), problem(1));
        life.until("a deferred mail", |alerts| alerts.stats().deferred_total == 1).await;
        let shown = life.alerts.notifications(None, 10).unwrap();
        assert_eq!(shown[0].state, NotificationState::Queued);
        assert!(shown[0].error.as_ref().unwrap().contains(expected), "{shown:?}");
        life.stop().await;
    }
    assert!(server.mails().is_empty() && plain.mails().is_empty());
}

/// Each failure that may pass: the mail stays, its error is shown, and it goes out later, once.
#[tokio::test]
async fn a_failure_that_may_pass_delays_the_mail_and_loses_nothing() {
    let cases = [
        (At::Greeting, Fault::Answer("421 4.3.2 too busy"), "connect: "),
        (At::Greeting, Fault::Close, "connect: "),
        (At::Mail, Fault::Answer("451 4.7.1 greylisted"), "deferred: "),
        (At::Rcpt, Fault::Answer("452 4.2.2 mailbox full"), "deferred: "),
        (At::EndOfData, Fault::Answer("451 4.3.0 try later"), "deferred: "),
        (At::EndOfData, Fault::Close, "broken: "),
        (At::Mail, Fault::Answer("530 5.7.0 sign in first"), "sign_in: "),
    ];
    for (at, fault, expected) in cases {
        let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
        server.fail(at, fault.clone());
        let world = World::new();
        let life = world.live(config(server.smtp()));
        world.happen(&web1(), problem(1));
        life.until("a deferred mail", |alerts| alerts.stats().deferred_total == 1).await;
        let shown = life.alerts.notifications(None, 10).unwrap();
        assert_eq!((shown.len(), shown[0].attempts), (1, 1), "{fault:?}");
        assert!(shown[0].error.as_ref().unwrap().starts_with(expected), "{fault:?}: {shown:?}");
        assert_eq!(shown[0].next_attempt, Some(world.clock.now() + Duration::from_secs(15)));
        assert!(server.mails().is_empty());

        world.clock.advance(Duration::from_secs(15));
        life.alerts.retry_now();
        server.received(1).await;
        life.until("a sent mail", |alerts| alerts.stats().sent_total == 1).await;
        let shown = life.alerts.notifications(None, 10).unwrap();
        assert_eq!(shown[0].state, NotificationState::Sent);
        assert_eq!((shown[0].attempts, shown[0].error.as_deref()), (2, None));
        life.stop().await;
        assert_eq!(server.mails().len(), 1);
    }
}

/// A mail that the server will never take is given up and shown; the reader is then not thought
/// to know, so that no recovery of a problem they never heard of follows.
#[tokio::test]
async fn a_refused_mail_is_given_up_and_takes_its_belief_with_it() {
    let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
    server.fail(At::Rcpt, Fault::Answer("550 5.1.1 no such user"));
    let world = World::new();
    let life = world.live(config(server.smtp()));
    world.happen(&web1(), problem(1));
    life.until("a failed mail", |alerts| alerts.stats().failed_total == 1).await;
    let shown = life.alerts.notifications(None, 10).unwrap();
    assert_eq!(shown[0].state, NotificationState::Failed);
    assert!(shown[0].error.as_ref().unwrap().contains("no such user"), "{shown:?}");

    let end = world.happen(&web1(), recovery(1));
    life.until("the recovery decided", |alerts| {
        alerts.why(&web1(), None, 1).unwrap().iter().any(|trace| trace.event == Some(end))
    })
    .await;
    let traces = life.alerts.why(&web1(), None, 1).unwrap();
    let last = traces[0].contacts[0].steps.last().unwrap();
    assert_eq!((last.stage.as_str(), last.passes), ("ledger", false));
    assert_eq!(last.reason, "never told of the problem");
    life.stop().await;
    assert!(server.mails().is_empty());
}

/// A server that falls silent holds one mail for its timeout, and not for ever.
#[tokio::test]
async fn a_silent_server_is_left_after_its_time() {
    let server = SmtpServer::start(Security::None, "").await;
    server.fail(At::EndOfData, Fault::Silence);
    let mut smtp = server.smtp();
    smtp.user = None;
    let world = World::new();
    let life = world.live(config(smtp));
    world.happen(&web1(), problem(1));
    server.faults_begun().await;
    // The paused clock runs on by itself when everybody waits: the 30 seconds pass at once.
    tokio::time::pause();
    life.until("a timeout", |alerts| alerts.stats().deferred_total == 1).await;
    tokio::time::resume();
    let shown = life.alerts.notifications(None, 1).unwrap();
    let error = shown[0].error.clone().unwrap();
    assert_eq!(error, "timeout: no answer from the server in 30 s");
    life.alerts.retry_now();
    server.received(1).await;
    life.stop().await;
}

/// Order within one subject and address: the recovery waits for its delayed problem.
#[tokio::test]
async fn a_recovery_never_overtakes_its_problem() {
    let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
    server.fail(At::Mail, Fault::Answer("451 4.7.1 greylisted"));
    let world = World::new();
    let life = world.live(config(server.smtp()));
    world.happen(&web1(), problem(1));
    life.until("a deferred mail", |alerts| alerts.stats().deferred_total == 1).await;
    world.happen(&web1(), recovery(1));
    world.happen(&CheckId::check("web1", "ping"), problem(2));
    let mails = server.received(1).await;
    assert!(subjects(&mails)[0].starts_with("[CRITICAL] web1/ping"), "another lane goes on");
    world.clock.advance(Duration::from_mins(1));
    life.alerts.retry_now();
    let mails = server.received(3).await;
    let told = subjects(&mails[1..]);
    assert!(told[0].starts_with("[CRITICAL] web1/http"), "{told:?}");
    assert!(told[1].starts_with("[RECOVERED] web1/http"), "{told:?}");
    life.stop().await;
}

/// Goal: whatever the moment of a kill, nothing is lost, and nothing is sent twice but what was
/// being written down as sent. Method: the same story (two problems, one recovery, two contacts)
/// is told with a kill at its first commit, its second, and so on; each kill once with the commit
/// on disk and once without it; afterwards the room lives on with the same records.
#[tokio::test]
async fn a_kill_at_any_commit_loses_nothing_and_repeats_only_what_was_being_written_down() {
    let expected = [
        ("ann@example.net", "[CRITICAL] web1/http: connection refused — 接続拒否"),
        ("ann@example.net", "[CRITICAL] web1/ping: connection refused — 接続拒否"),
        ("ann@example.net", "[RECOVERED] web1/http: HTTP/1.1 200 OK in 12 ms"),
        ("bob@example.net", "[CRITICAL] web1/http: connection refused — 接続拒否"),
        ("bob@example.net", "[CRITICAL] web1/ping: connection refused — 接続拒否"),
        ("bob@example.net", "[RECOVERED] web1/http: HTTP/1.1 200 OK in 12 ms"),
    ];
    let mut kills = 0;
    let mut repeats = 0;
    for commits in 1.. {
        let mut has_died = false;
        for is_last_kept in [false, true] {
            let (counts, death) = story_with_a_kill(commits, is_last_kept).await;
            let expected_keys = expected.map(|(to, subject)| (to.to_owned(), subject.to_owned()));
            assert_eq!(counts.keys().cloned().collect::<Vec<_>>(), expected_keys);
            let twice = counts.values().filter(|count| **count > 1).count();
            let Some(died_after_sending) = death else {
                assert_eq!(twice, 0);
                continue;
            };
            has_died = true;
            kills += 1;
            // Only a kill between the server's 250 and our commit may repeat, and only what was
            // handed over on the (at most three) open connections at that moment.
            let allowed = if died_after_sending && !is_last_kept { 3 } else { 2 };
            assert!(twice <= allowed, "commit {commits}, kept {is_last_kept}: {counts:?}");
            assert!(counts.values().all(|count| *count <= 2), "{counts:?}");
            repeats += twice;
        }
        if !has_died {
            break;
        }
    }
    // Three events and six mails are nine commits, each the last one twice.
    assert_eq!(kills, 18);
    assert!(repeats >= 6, "a kill after each of the six mails repeats it");
}

/// The same with a single mail, exactly: it is repeated when the kill falls between the server's
/// 250 and our commit, and at no other moment.
#[tokio::test]
async fn a_single_mail_is_repeated_in_one_window_only() {
    // The first commit is the decision's, the second takes the mail out of the queue.
    for (commits, is_last_kept, expected) in
        [(1, false, 1), (1, true, 1), (2, false, 2), (2, true, 1)]
    {
        let server = SmtpServer::start(Security::None, "").await;
        let mut smtp = server.smtp();
        smtp.user = None;
        let world = World::new();
        world.live_before(config(smtp.clone())).await;
        let mortal = Mortal::new(&world.records, commits, is_last_kept);
        let life = world.live_on(Arc::clone(&mortal) as Arc<dyn Records>, config(smtp.clone()));
        world.happen(&web1(), problem(1));
        life.until("a kill", |_| mortal.is_dead.load(Ordering::SeqCst)).await;
        life.kill().await;
        let life = world.live(config(smtp));
        life.until("the mail sent", |alerts| {
            let shown = alerts.notifications(None, 9).unwrap();
            shown.len() == 1 && shown[0].state == NotificationState::Sent
        })
        .await;
        life.stop().await;
        let mails = server.mails();
        assert_eq!(mails.len(), expected, "commit {commits}, kept: {is_last_kept}");
        let first = parse(&mails[0]).message_id().unwrap().to_owned();
        assert!(mails.iter().all(|mail| parse(mail).message_id() == Some(first.as_str())));
    }
}

type Counts = BTreeMap<(String, String), usize>;

/// Tells the story with a kill at commit `commits`; returns what arrived how often, and, if it
/// died at all, whether that was while a mail was taken out of the queue.
async fn story_with_a_kill(commits: i64, is_last_kept: bool) -> (Counts, Option<bool>) {
    let server = SmtpServer::start(Security::None, "").await;
    let mut smtp = server.smtp();
    smtp.user = None;
    let mut config = config(smtp);
    config.contacts.push(contact("bob", &["bob@example.net"], &[]));
    let world = World::new();
    world.live_before(config.clone()).await;
    let mortal = Mortal::new(&world.records, commits, is_last_kept);
    let life = world.live_on(Arc::clone(&mortal) as Arc<dyn Records>, config.clone());
    world.happen(&web1(), problem(1));
    world.happen(&CheckId::check("web1", "ping"), problem(2));
    world.happen(&web1(), recovery(1));
    let is_dead = || mortal.is_dead.load(Ordering::SeqCst);
    life.until("the end or a kill", |alerts| alerts.stats().sent_total == 6 || is_dead()).await;
    let death = is_dead().then(|| mortal.died_after_sending.load(Ordering::SeqCst));
    life.kill().await;

    let life = world.live(config);
    life.until("all decided and sent", |alerts| {
        let shown = alerts.notifications(None, 100).unwrap();
        shown.len() == 6 && shown.iter().all(|one| one.state == NotificationState::Sent)
    })
    .await;
    life.stop().await;
    let mut counts = Counts::new();
    let mut ids = BTreeMap::new();
    for mail in server.mails() {
        let parsed = parse(&mail);
        let key = (mail.to[0].clone(), parsed.subject().unwrap().to_owned());
        let id = parsed.message_id().unwrap().to_owned();
        assert_eq!(
            ids.entry(key.clone()).or_insert_with(|| id.clone()),
            &id,
            "a repeat is the same"
        );
        *counts.entry(key).or_default() += 1;
    }
    (counts, death)
}

/// While what was sent cannot be written down, nothing is sent again.
#[tokio::test]
async fn a_disk_that_fails_for_a_while_repeats_nothing() {
    let server = SmtpServer::start(Security::None, "").await;
    let mut smtp = server.smtp();
    smtp.user = None;
    let world = World::new();
    world.live_before(config(smtp.clone())).await;
    // Dies with the commit that follows the first 250.
    let mortal = Mortal::new(&world.records, 2, false);
    let life = world.live_on(Arc::clone(&mortal) as Arc<dyn Records>, config(smtp));
    world.happen(&web1(), problem(1));
    life.until("a failed commit", |_| mortal.is_dead.load(Ordering::SeqCst)).await;
    life.alerts.retry_now();
    mortal.revive();
    life.until("the mail written down", |alerts| alerts.stats().sent_total == 1).await;
    world.happen(&web1(), recovery(1));
    server.received(2).await;
    life.stop().await;
    let told = subjects(&server.mails());
    assert_eq!(told.len(), 2, "{told:?}");
}

/// A source of series that never answers, or breaks, costs the mail its graph and nothing else.
#[tokio::test]
async fn a_graph_that_does_not_come_does_not_hold_the_mail() {
    let (entered, mut is_entered) = tokio::sync::mpsc::channel(1);
    let (release, is_released) = std::sync::mpsc::sync_channel(1);
    let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
    let mut world = World::new();
    world.series = Arc::new(stuck(entered, is_released));
    let life = world.live(config(server.smtp()));
    world.happen(&web1(), problem(1));
    is_entered.recv().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    let mails = server.received(1).await;
    let mail = parse(&mails[0]);
    assert_eq!(structure(&mail), "alternative(text/plain text/html)");
    assert!(!mail.body_html(0).unwrap().contains("cid:"));
    assert_eq!(life.alerts.stats().graphs_missed_total, 1);

    // Released, it breaks: the next mail finds the source in this state at once.
    release.send(()).unwrap();
    world.happen(&web1(), recovery(1));
    release.send(()).unwrap();
    let mails = server.received(2).await;
    assert_eq!(structure(&parse(&mails[1])), "alternative(text/plain text/html)");
    assert_eq!(life.alerts.stats().graphs_missed_total, 2);
    life.stop().await;
}

/// A storm: twenty mails one by one, then a digest that says how everything stands.
#[tokio::test]
async fn a_storm_ends_in_a_digest() {
    let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
    let mut world = World::new();
    world.series = Arc::new(noroshi_expr::MemorySeries::new());
    let life = world.live(config(server.smtp()));
    for number in 0..30 {
        world.happen(&CheckId::check(&format!("web{number:02}"), "http"), problem(number));
    }
    server.received(20).await;
    world.happen(&CheckId::check("web29", "http"), recovery(29));
    world.clock.advance(Duration::from_mins(2));
    let comment = EventBody::Commented { author: "ann".to_owned(), comment: String::new() };
    world.happen(&web1(), comment);
    let mails = server.received(21).await;
    let mail = parse(&mails[20]);
    assert_eq!(mail.subject(), Some("[DIGEST] 10 changes: 9 critical, 1 ok"));
    let text = mail.body_text(0).unwrap().replace("\r\n", "\n");
    assert!(text.contains("  CRITICAL web20/http: connection refused"), "{text}");
    assert!(text.contains("  OK web29/http: HTTP/1.1 200 OK"), "{text}");
    keep("digest", &mails[20]);
    let shown = life.alerts.notifications(None, 100).unwrap();
    let suppressed = shown.iter().filter(|one| one.state == NotificationState::Suppressed).count();
    assert_eq!((shown.len(), suppressed), (32, 11));
    life.stop().await;
}

/// A contact with a pager gets 160 characters of plain text.
#[tokio::test]
async fn a_pager_gets_one_short_message() {
    let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
    let world = World::new();
    let mut config = config(server.smtp());
    config.contacts = vec![contact("bob", &[], &["0901234567@pager.example.net"])];
    let life = world.live(config);
    world.happen(&web1(), problem(1));
    let mails = server.received(1).await;
    let mail = parse(&mails[0]);
    assert_eq!(mail.parts.len(), 1);
    let text = mail.body_text(0).unwrap();
    let expected = "CRITICAL web1/http: connection refused — 接続拒否 (since 13:00 +09:00)";
    assert_eq!(text.trim_end(), expected);
    life.stop().await;
}

/// What happened before the very first start is told to nobody; what happened while the server
/// was down later is.
#[tokio::test]
async fn the_first_start_begins_at_the_newest_event_and_later_ones_where_they_left_off() {
    let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
    let world = World::new();
    world.happen(&web1(), problem(1));
    let life = world.live(config(server.smtp()));
    let other = CheckId::check("web1", "ping");
    world.happen(&other, problem(2));
    server.received(1).await;
    life.stop().await;
    world.happen(&other, recovery(2));
    let life = world.live(config(server.smtp()));
    let mails = server.received(2).await;
    assert!(subjects(&mails).iter().all(|subject| subject.contains("web1/ping")));
    life.stop().await;
}

/// A reminder, once its time has come and not before, never for what is taken on.
#[tokio::test]
async fn an_open_problem_is_told_again_after_its_time() {
    let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
    let world = World::new();
    let config = Config { remind: Some(Duration::from_hours(1)), ..config(server.smtp()) };
    let life = world.live(config);
    world.happen(&web1(), problem(1));
    server.received(1).await;
    world.clock.set(START + Duration::from_secs(3602));
    let mails = server.received(2).await;
    let told = subjects(&mails);
    assert!(told[1].starts_with("[STILL CRITICAL] web1/http"), "{told:?}");
    let first = parse(&mails[0]).message_id().unwrap().to_owned();
    assert_eq!(parse(&mails[1]).in_reply_to().as_text(), Some(first.as_str()));
    life.stop().await;
}

/// A test message goes to every address, and says plainly why it cannot.
#[tokio::test]
async fn a_test_message_says_whether_mail_arrives() {
    let server = SmtpServer::start(Security::Starttls, "PLAIN").await;
    let world = World::new();
    let life = world.live(Config::default());
    assert!(matches!(life.alerts.test_message("ann").await, Err(TestError::NoServer)));
    let mut smtp = server.smtp();
    smtp.password = Secret::new("wrong");
    life.alerts.apply(config(smtp)).unwrap();
    let error = life.alerts.test_message("eve").await.unwrap_err();
    assert_eq!(error.to_string(), "no contact is called \"eve\"");
    let numbers = life.alerts.test_message("ann").await.unwrap();
    life.until("a deferred mail", |alerts| alerts.stats().deferred_total == 1).await;
    let shown = life.alerts.notifications(None, 1).unwrap();
    assert_eq!(shown[0].id, numbers[0]);
    let error = shown[0].error.clone().unwrap();
    assert!(error.starts_with("sign_in: ") && !error.contains("wrong"), "{error}");
    // The right password is configured: what waited goes out at once.
    life.alerts.apply(config(server.smtp())).unwrap();
    let mails = server.received(1).await;
    assert_eq!(subjects(&mails), ["[TEST] Noroshi reaches ann"]);
    assert!(!String::from_utf8_lossy(&mails[0].source).contains(PASSWORD));
    life.stop().await;
}
