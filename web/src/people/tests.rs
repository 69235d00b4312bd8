//! People over records in memory.

use std::time::Duration;

use noroshi_model::seam::{ManualClock, MemoryRecords};
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::SessionStore as _;

use super::*;

struct House {
    clock: Arc<ManualClock>,
    records: Arc<MemoryRecords>,
    people: Arc<People>,
}

fn house() -> House {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let records = Arc::new(MemoryRecords::new());
    let people = People::new(records.clone(), clock.clone());
    House { clock, records, people }
}

#[test]
fn a_user_is_created_once_and_known_by_password() {
    let House { people, .. } = house();
    let ada = people.create_user("ada", Role::Operator, Some("analytical")).unwrap();
    assert!(ada.has_password && ada.role == Role::Operator);
    let again = people.create_user("ada", Role::Viewer, None);
    assert!(matches!(again, Err(PeopleError::Exists { .. })));

    assert_eq!(people.verify_password("ada", "analytical").unwrap(), Some(ada));
    assert_eq!(people.verify_password("ada", "difference").unwrap(), None);
    assert_eq!(people.verify_password("eve", "analytical").unwrap(), None);
    people.set_password("ada", "difference").unwrap();
    assert!(people.verify_password("ada", "difference").unwrap().is_some());
    assert_eq!(people.verify_password("ada", "analytical").unwrap(), None);
}

#[test]
fn a_user_without_password_cannot_sign_in_by_an_empty_one() {
    let House { people, .. } = house();
    people.create_user("ada", Role::Admin, None).unwrap();
    assert_eq!(people.verify_password("ada", "").unwrap(), None);
}

#[test]
fn unfit_names_and_roles_are_refused() {
    let House { people, .. } = house();
    for name in ["", "a b", "a/b", "a:b", "a\nb", &"x".repeat(65)] {
        let made = people.create_user(name, Role::Viewer, None);
        assert!(matches!(made, Err(PeopleError::NameUnfit { .. })), "{name:?}");
        let made = people.create_token(name, Role::Viewer);
        assert!(matches!(made, Err(PeopleError::NameUnfit { .. })), "{name:?}");
    }
    for name in ["x", "ada.l@example.org", "zoë", &"x".repeat(64)] {
        assert!(people.create_user(name, Role::Viewer, None).is_ok(), "{name:?}");
    }
    let made = people.create_user("robot", Role::Agent, None);
    assert!(matches!(made, Err(PeopleError::NoSuchRole { .. })));
    assert!("root".parse::<Role>().is_err());
}

#[test]
fn the_last_admin_stays() {
    let House { people, .. } = house();
    people.create_user("ada", Role::Admin, None).unwrap();
    people.create_user("bob", Role::Viewer, None).unwrap();
    assert!(matches!(people.remove_user("ada"), Err(PeopleError::LastAdmin { .. })));
    let lowered = people.set_role("ada", Role::Viewer);
    assert!(matches!(lowered, Err(PeopleError::LastAdmin { .. })));
    people.set_role("bob", Role::Admin).unwrap();
    people.remove_user("ada").unwrap();
    let names: Vec<String> = people.users().unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["bob"]);
    assert!(matches!(people.remove_user("ada"), Err(PeopleError::NotFound { .. })));
}

#[test]
fn a_token_works_until_it_is_revoked_and_its_secret_is_not_kept() {
    let House { people, records, .. } = house();
    let secret = people.create_token("web1", Role::Agent).unwrap();
    assert!(secret.starts_with(TOKEN_PREFIX));
    assert_eq!(people.known_token(&secret), None);
    assert_eq!(people.verify_token(&secret).unwrap().unwrap().name, "web1");
    assert_eq!(people.known_token(&secret).unwrap().name, "web1");
    assert_eq!(people.verify_token("noroshi_guess").unwrap(), None);
    assert_eq!(people.known_token("noroshi_guess"), None);
    assert!(matches!(people.create_token("web1", Role::Viewer), Err(PeopleError::Exists { .. })));
    for (key, value) in records.scan(Space::People, b"", None, 99).unwrap() {
        for bytes in [key, value] {
            assert!(!String::from_utf8(bytes).unwrap().contains(&secret[TOKEN_PREFIX.len()..]));
        }
    }
    people.revoke_token("web1").unwrap();
    assert_eq!(people.known_token(&secret), None);
    assert_eq!(people.verify_token(&secret).unwrap(), None);
    assert!(matches!(people.revoke_token("web1"), Err(PeopleError::NotFound { .. })));
}

/// Records between which and their reader something happens once.
struct Interrupted {
    records: MemoryRecords,
    then: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Records for Interrupted {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        let found = self.records.get(space, key);
        if let Some(then) = self.then.lock().take() {
            then();
        }
        found
    }

    fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<noroshi_model::seam::Record>, RecordError> {
        self.records.scan(space, prefix, after, limit)
    }

    fn scan_back(
        &self,
        space: Space,
        prefix: &[u8],
        before: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<noroshi_model::seam::Record>, RecordError> {
        self.records.scan_back(space, prefix, before, limit)
    }

    fn commit(&self, batch: RecordBatch) -> Result<(), RecordError> {
        self.records.commit(batch)
    }
}

#[test]
fn a_token_that_is_revoked_while_it_is_read_is_not_remembered() {
    let records = Arc::new(Interrupted { records: MemoryRecords::new(), then: Mutex::new(None) });
    let people = People::new(records.clone(), house().clock);
    let secret = people.create_token("web1", Role::Agent).unwrap();
    let revoking = Arc::clone(&people);
    *records.then.lock() = Some(Box::new(move || revoking.revoke_token("web1").unwrap()));
    assert!(people.verify_token(&secret).unwrap().is_some());
    assert_eq!(people.known_token(&secret), None);
    assert_eq!(people.verify_token(&secret).unwrap(), None);
}

#[test]
fn a_link_lets_in_once_and_for_a_day() {
    let House { people, clock, .. } = house();
    people.create_user("ada", Role::Admin, None).unwrap();
    let secret = people.sign_in_link("ada").unwrap();
    assert_eq!(people.link_user(&secret).unwrap().unwrap().name, "ada");
    assert_eq!(people.redeem_link(&secret).unwrap().unwrap().name, "ada");
    assert_eq!(people.redeem_link(&secret).unwrap(), None);

    let secret = people.sign_in_link("ada").unwrap();
    clock.advance(LINK_LIFE);
    assert_eq!(people.redeem_link(&secret).unwrap(), None);
    assert_eq!(people.redeem_link("").unwrap(), None);
    assert!(matches!(people.sign_in_link("eve"), Err(PeopleError::NotFound { .. })));
}

fn session_of(user: &str) -> Record {
    let data = [("user".to_owned(), user.into())].into();
    let expiry_date = tower_sessions::cookie::time::OffsetDateTime::UNIX_EPOCH;
    Record { id: Id::default(), data, expiry_date }
}

#[tokio::test]
async fn a_session_ends_when_idle_and_when_old() {
    let House { people, clock, records } = house();
    let store = SessionRecords(people);
    let mut session = session_of("ada");
    store.create(&mut session).await.unwrap();
    let is_alive = async || store.load(&session.id).await.unwrap().is_some();
    assert!(is_alive().await);

    // Used every 13 days it lives until it is 90 days old: 6 * 13 = 78, 7 * 13 = 91.
    for _ in 0..6 {
        clock.advance(Duration::from_hours(13 * 24));
        assert!(is_alive().await);
        store.save(&session).await.unwrap();
    }
    clock.advance(Duration::from_hours(13 * 24));
    assert!(!is_alive().await);

    let mut other = session_of("ada");
    store.create(&mut other).await.unwrap();
    assert_eq!(records.scan(Space::Sessions, b"session/", None, 9).unwrap().len(), 1);
    clock.advance(SESSION_IDLE_MAX.saturating_sub(Duration::from_millis(1)));
    assert!(store.load(&other.id).await.unwrap().is_some());
    clock.advance(Duration::from_millis(1));
    assert!(store.load(&other.id).await.unwrap().is_none());
}

#[tokio::test]
async fn an_ended_session_is_not_brought_back_by_a_late_save() {
    let House { people, .. } = house();
    let store = SessionRecords(people);
    let mut session = session_of("ada");
    store.create(&mut session).await.unwrap();
    store.delete(&session.id).await.unwrap();
    store.save(&session).await.unwrap();
    assert!(store.load(&session.id).await.unwrap().is_none());
}

#[tokio::test]
async fn removing_a_user_ends_their_sessions_and_links_only() {
    let House { people, .. } = house();
    people.create_user("ada", Role::Admin, None).unwrap();
    people.create_user("bob", Role::Viewer, None).unwrap();
    let store = SessionRecords(people.clone());
    let (mut adas, mut bobs) = (session_of("ada"), session_of("bob"));
    store.create(&mut adas).await.unwrap();
    store.create(&mut bobs).await.unwrap();
    let link = people.sign_in_link("bob").unwrap();

    people.remove_user("bob").unwrap();
    assert!(store.load(&bobs.id).await.unwrap().is_none());
    assert!(store.load(&adas.id).await.unwrap().is_some());
    people.create_user("bob", Role::Viewer, None).unwrap();
    assert_eq!(people.redeem_link(&link).unwrap(), None);
}

#[test]
fn records_of_version_1_are_read() {
    let House { people, records, .. } = house();
    let mut batch = RecordBatch::new();
    batch.put(
        Space::People,
        "user/ada",
        r#"{"version":1,"name":"ada","role":"operator","password":null,"created_at":1700000000000}"#,
    );
    // SHA-256 of "abc"
    batch.put(
        Space::People,
        "token/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        r#"{"version":1,"name":"web1","role":"agent","created_at":1700000000000}"#,
    );
    records.commit(batch).unwrap();
    let created_at = Timestamp::from_secs(1_700_000_000);
    let ada = User { name: "ada".into(), role: Role::Operator, has_password: false, created_at };
    assert_eq!(people.user("ada").unwrap(), Some(ada));
    let token = Token { name: "web1".into(), role: Role::Agent, created_at };
    assert_eq!(people.verify_token("abc").unwrap(), Some(token));
}
