//! The tables of probes as they are written.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_spanned::Spanned;

use crate::config::raw::{Humane, Text};

/// `true`, a text, or a table of all options.
#[derive(Clone, Debug)]
pub(crate) enum Brief<T> {
    Flag(bool),
    Text(String),
    Table(Box<T>),
}

/// A probe as it is written, with its place.
pub(crate) type Said<T> = Option<Spanned<Brief<T>>>;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Brief<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BriefVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for BriefVisitor<T> {
            type Value = Brief<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, a text or a table")
            }
            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Brief::Flag(flag))
            }
            fn visit_i64<E: de::Error>(self, port: i64) -> Result<Self::Value, E> {
                Ok(Brief::Text(port.to_string()))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Brief::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let table = T::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Brief::Table(Box::new(table)))
            }
        }
        deserializer.deserialize_any(BriefVisitor(PhantomData))
    }
}

/// One table or a list of tables.
#[derive(Clone, Debug)]
pub(crate) struct Several<T>(pub(crate) Vec<T>);

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SeveralVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for SeveralVisitor<T> {
            type Value = Several<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table or a list of tables")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(Several(vec![T::deserialize(MapAccessDeserializer::new(map))?]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut tables = Vec::new();
                while let Some(table) = list.next_element()? {
                    tables.push(table);
                }
                Ok(Several(tables))
            }
        }
        deserializer.deserialize_any(SeveralVisitor(PhantomData))
    }
}

/// `http = { ... }`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHttp {
    pub(crate) url: Option<Text>,
    #[serde(default)]
    pub(crate) method: Option<Text>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<Text, String>,
    #[serde(default)]
    pub(crate) body: String,
    #[serde(default)]
    pub(crate) basic_auth: Option<RawBasicAuth>,
    #[serde(default)]
    pub(crate) bearer: Option<String>,
    #[serde(default)]
    pub(crate) statuses: Vec<Spanned<u16>>,
    #[serde(default)]
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) not_text: Option<String>,
    #[serde(default)]
    pub(crate) regex: Option<Text>,
    #[serde(default)]
    pub(crate) json: Several<RawJson>,
    #[serde(default)]
    pub(crate) redirects: Option<u8>,
    #[serde(default)]
    pub(crate) connect_to: Option<Text>,
    #[serde(default)]
    pub(crate) ip: Option<Spanned<u8>>,
    #[serde(default)]
    pub(crate) insecure: bool,
    #[serde(default)]
    pub(crate) certificate_days_warning: Option<Spanned<f64>>,
    #[serde(default)]
    pub(crate) certificate_days_critical: Option<Spanned<f64>>,
    #[serde(default)]
    pub(crate) warning: Option<Spanned<Humane>>,
    #[serde(default)]
    pub(crate) critical: Option<Spanned<Humane>>,
}

/// `basic_auth = { user, password }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBasicAuth {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// `json = { path, ... }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawJson {
    pub(crate) path: Text,
    pub(crate) equals: Option<serde_json::Value>,
    pub(crate) regex: Option<Text>,
    pub(crate) warning: Option<Text>,
    pub(crate) critical: Option<Text>,
    #[serde(default)]
    pub(crate) name: String,
}

/// `tcp = { ... }`, `smtp = { ... }`, and the other services. Which of the texts a service takes
/// is decided where it is resolved.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawService {
    pub(crate) target: Option<Text>,
    pub(crate) security: Option<Text>,
    pub(crate) server_name: String,
    pub(crate) insecure: bool,
    pub(crate) certificate_days_warning: Option<Spanned<f64>>,
    pub(crate) certificate_days_critical: Option<Spanned<f64>>,
    pub(crate) ip: Option<Spanned<u8>>,
    pub(crate) warning: Option<Spanned<Humane>>,
    pub(crate) critical: Option<Spanned<Humane>>,
    pub(crate) greeting: Option<Text>,
    pub(crate) send: Option<Text>,
    pub(crate) expect: Option<Text>,
    pub(crate) base: Option<Text>,
    pub(crate) user: Option<Text>,
    pub(crate) database: Option<Text>,
}

/// `cluster = { ... }`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawCluster {
    pub(crate) members: Vec<Text>,
    pub(crate) r#match: Option<Spanned<RawClusterMatch>>,
    pub(crate) warning: Option<Text>,
    pub(crate) critical: Option<Text>,
    pub(crate) skip_downtime: bool,
    pub(crate) warning_is_ok: bool,
}

/// `match = { check = "http", groups = ["web"] }`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawClusterMatch {
    pub(crate) check: Option<String>,
    pub(crate) groups: Vec<String>,
}

/// `ping = { ... }`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPing {
    pub(crate) address: String,
    pub(crate) count: Option<Spanned<u16>>,
    pub(crate) spacing: Option<Spanned<Humane>>,
    pub(crate) payload_bytes: Option<Spanned<u16>>,
    pub(crate) loss_warning: Option<Spanned<f64>>,
    pub(crate) loss_critical: Option<Spanned<f64>>,
    pub(crate) rtt_warning: Option<Spanned<Humane>>,
    pub(crate) rtt_critical: Option<Spanned<Humane>>,
}

/// `dns = { ... }`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDns {
    pub(crate) name: Option<Text>,
    #[serde(default)]
    pub(crate) record: Option<Text>,
    #[serde(default)]
    pub(crate) server: String,
    #[serde(default)]
    pub(crate) expect: Vec<String>,
    #[serde(default)]
    pub(crate) authority: bool,
    #[serde(default)]
    pub(crate) warning: Option<Spanned<Humane>>,
    #[serde(default)]
    pub(crate) critical: Option<Spanned<Humane>>,
}

/// `tls = { ... }`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawTls {
    pub(crate) target: Option<Text>,
    pub(crate) server_name: String,
    pub(crate) insecure: bool,
    pub(crate) certificate_days_warning: Option<Spanned<f64>>,
    pub(crate) certificate_days_critical: Option<Spanned<f64>>,
    pub(crate) ip: Option<Spanned<u8>>,
}

/// `ntp = { ... }`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawNtp {
    pub(crate) server: String,
    pub(crate) offset_warning: Option<Spanned<Humane>>,
    pub(crate) offset_critical: Option<Spanned<Humane>>,
    pub(crate) stratum_max: Option<Spanned<u8>>,
}
