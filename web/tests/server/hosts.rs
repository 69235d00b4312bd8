//! Hosts that people add, kept in memory; and what the API makes of each refusal.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use noroshi_model::{BoxFuture, Timestamp};
use noroshi_web::configuration::{
    AddedHost, CheckGets, Configuration, FieldFault, HostChange, HostChoices, HostGets,
    HostRefused, HostSource, RefusedAgent, Signature, SuggestedParent,
};
use noroshi_web::people::Role;
use parking_lot::Mutex;
use serde_json::json;

use crate::house::House;
use crate::schema;

/// Takes hosts; refuses an address without a dot, and the name web1.
#[derive(Default)]
pub struct Hosts(Mutex<BTreeMap<String, AddedHost>>);

impl Configuration for Hosts {
    fn source(&self, host: &str) -> BoxFuture<'_, Option<HostSource>> {
        let (path, line) = ("/etc/noroshi/hosts.toml".to_owned(), 7);
        let source = HostSource::File { path, line, overrides_added: false };
        let is_known = host == "web1";
        Box::pin(async move { is_known.then_some(source) })
    }

    fn added(&self) -> BoxFuture<'_, Result<Vec<AddedHost>, HostRefused>> {
        let hosts = self.0.lock().values().cloned().collect();
        Box::pin(async move { Ok(hosts) })
    }

    fn choices(&self) -> BoxFuture<'_, HostChoices> {
        let groups = vec!["web".to_owned()];
        Box::pin(async move { HostChoices { groups, ..HostChoices::default() } })
    }

    fn put(&self, change: HostChange) -> BoxFuture<'_, Result<HostGets, HostRefused>> {
        let mut hosts = self.0.lock();
        let HostChange { name, table, is_new, is_trial, author } = change;
        let done = if is_new && name == "web1" {
            Err(HostRefused::Exists { name, place: "hosts.toml:7".to_owned() })
        } else if !is_new && !hosts.contains_key(&name) {
            Err(HostRefused::NotAdded { name, place: "nowhere".to_owned() })
        } else if table.get("address").is_some_and(|address| !address.to_string().contains('.')) {
            let (what, advice) = ("no address".to_owned(), "write another".to_owned());
            Err(HostRefused::Faults(vec![FieldFault { field: "address".to_owned(), what, advice }]))
        } else {
            if !is_trial {
                let added = Some(Signature { by: author, at: Timestamp::from_secs(9) });
                let (overridden_by, faults) = (None, Vec::new());
                let host = AddedHost {
                    name: name.clone(),
                    table,
                    added,
                    changed: None,
                    overridden_by,
                    faults,
                };
                hosts.insert(name, host);
            }
            let check = CheckGets { name: "ssh".to_owned(), kind: "tcp".to_owned() };
            Ok(HostGets { alive: "icmp".to_owned(), checks: vec![check], polls: Vec::new() })
        };
        Box::pin(async move { done })
    }

    fn remove(&self, host: &str, _: &str) -> BoxFuture<'_, Result<(), HostRefused>> {
        let (name, place) = (host.to_owned(), "nowhere".to_owned());
        let removed = self.0.lock().remove(host);
        Box::pin(async move { removed.map(drop).ok_or(HostRefused::NotAdded { name, place }) })
    }

    fn suggested_parents(&self) -> BoxFuture<'_, Vec<SuggestedParent>> {
        let suggested = |host: &str| SuggestedParent {
            host: host.to_owned(),
            parent: "gw".to_owned(),
            reason: "its gateway".to_owned(),
        };
        let all = ["web1", "web2"].map(suggested).to_vec();
        Box::pin(async move { all })
    }

    fn refused_agents(&self) -> BoxFuture<'_, Vec<RefusedAgent>> {
        let agent = RefusedAgent {
            host: "lab1".to_owned(),
            address: "192.0.2.66".to_owned(),
            facts: BTreeMap::from([("os".to_owned(), "Debian".to_owned())]),
            reason: "no rule".to_owned(),
        };
        Box::pin(async move { vec![agent] })
    }

    fn back_up(&self, _: &Path) -> io::Result<(u64, u64)> {
        Ok((0, 0))
    }
}

#[tokio::test]
async fn a_host_is_tried_added_changed_and_removed_by_an_admin() {
    let house = House::open().await;
    let admin = house.token(Role::Admin);
    let description = house.read("/api/v1/openapi.json").await;
    let body = json!({ "name": "new 1", "table": { "address": "192.0.2.1" } });
    let hosts = "/api/v1/config/hosts";
    let post = |path: String| house.post(&path).token(&admin).json(&body).send();
    let trial = post(format!("{hosts}?try=true")).await;
    assert_eq!(trial.status, 200);
    schema::check(&description, "#/components/schemas/HostGets", &trial.json(), "gets");
    let listed = async || house.get(hosts).token(&admin).send().await.json();
    assert_eq!(listed().await["hosts"], json!([]), "a trial changes nothing");
    assert_eq!(post(hosts.to_owned()).await.status, 201);
    let list = listed().await;
    schema::check(&description, "#/components/schemas/AddedHosts", &list, "hosts");
    assert!(list["hosts"][0]["added"]["by"].as_str().unwrap().starts_with("token-"), "{list}");
    let one = format!("{hosts}/new%201");
    let table = json!({ "address": "192.0.2.2" });
    let changed = house.ask("PUT", &one).token(&admin).json(&table).send().await;
    assert_eq!(changed.status, 200);
    assert_eq!(listed().await["hosts"][0]["table"], table);
    assert_eq!(house.ask("DELETE", &one).token(&admin).send().await.status, 204);
    assert_eq!(house.ask("DELETE", &one).token(&admin).send().await.status, 404);
}

#[tokio::test]
async fn a_refusal_names_the_field_or_where_the_other_host_stands() {
    let house = House::open().await;
    let admin = house.token(Role::Admin);
    let description = house.read("/api/v1/openapi.json").await;
    let refused = async |name: &str, address: &str| {
        let body = json!({ "name": name, "table": { "address": address } });
        house.post("/api/v1/config/hosts").token(&admin).json(&body).send().await
    };
    let faulty = refused("new", "nonsense").await;
    assert_eq!(faulty.status, 422);
    schema::check(&description, "#/components/schemas/Error", &faulty.json(), "error");
    let error = &faulty.json()["error"];
    assert_eq!(error["message"], "address: no address; write another");
    assert_eq!(error["faults"][0]["field"], "address");
    let taken = refused("web1", "192.0.2.1").await;
    assert_eq!(taken.status, 409);
    assert_eq!(taken.json()["error"]["message"], "there is a host web1 already: hosts.toml:7");
    let table = json!({});
    let path = "/api/v1/config/hosts/none";
    assert_eq!(house.ask("PUT", path).token(&admin).json(&table).send().await.status, 404);
}

#[tokio::test]
async fn parents_are_suggested_for_one_host_or_all_and_refused_agents_told() {
    let house = House::open().await;
    let description = house.read("/api/v1/openapi.json").await;
    let all = house.read("/api/v1/suggestions/parents").await;
    schema::check(&description, "#/components/schemas/SuggestedParents", &all, "parents");
    assert_eq!(all["parents"].as_array().unwrap().len(), 2);
    let one = house.read("/api/v1/suggestions/parents?host=web2").await;
    assert_eq!(one["parents"][0]["host"], "web2");
    assert_eq!(one["parents"].as_array().unwrap().len(), 1);
    let refused = house.read("/api/v1/agents/refused").await;
    schema::check(&description, "#/components/schemas/RefusedAgents", &refused, "refused");
}
