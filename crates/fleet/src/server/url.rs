//! The url of one server.

use percent_encoding::percent_decode_str;
use sluice_core::Error;
use url::Url;

use super::{Address, invalid};

const DEFAULT_PORT: u16 = 6379;

const ACCEPTED: &str = "\"redis://[user:password@]host[:port][/database]\", \"rediss://…\" or \"unix:///path/to.sock[?db=number]\"";

/// What a url says. Its text is never repeated: it may hold a password.
pub(super) struct ServerUrl {
    pub(super) address: Address,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<u16>,
    pub(super) is_tls: bool,
}

impl ServerUrl {
    pub(super) fn parse(option: &str, url: &str) -> Result<Self, Error> {
        let wrong = |given: &str| invalid(option, given, ACCEPTED);
        let parsed = Url::parse(url).map_err(|error| wrong(&format!("no url: {error}")))?;
        if parsed.fragment().is_some() {
            return Err(wrong("a url with a fragment; a \"#\" of a password is written %23"));
        }
        let read = match parsed.scheme() {
            "redis" => over_tcp(&parsed, false),
            "rediss" => over_tcp(&parsed, true),
            "unix" | "redis+unix" => over_socket(&parsed),
            scheme => Err(format!("a url of the scheme \"{scheme}\"")),
        };
        read.map_err(|given| wrong(&given))
    }
}

fn over_tcp(url: &Url, is_tls: bool) -> Result<ServerUrl, String> {
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("a url without a host")?;
    if url.query().is_some() {
        return Err("a url with a query; a \"?\" of a password is written %3F".to_owned());
    }
    Ok(ServerUrl {
        // An address of IPv6 has brackets in a url only.
        address: Address::Tcp {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(DEFAULT_PORT),
        },
        username: decoded(Some(url.username()).filter(|name| !name.is_empty()))?,
        password: decoded(url.password())?,
        database: database_of(url.path().trim_matches('/'))?,
        is_tls,
    })
}

fn over_socket(url: &Url) -> Result<ServerUrl, String> {
    let path = decoded(Some(url.path()))?.unwrap_or_default();
    if path.len() < 2 {
        return Err("a url without the path of a socket".to_owned());
    }
    let (mut username, mut password, mut database) = (None, None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "db" => database = database_of(&value)?,
            "user" => username = Some(value.into_owned()),
            "pass" => password = Some(value.into_owned()),
            _ => return Err("a url with an unknown parameter; known: db, user, pass".to_owned()),
        }
    }
    Ok(ServerUrl { address: Address::Unix { path }, username, password, database, is_tls: false })
}

fn decoded(text: Option<&str>) -> Result<Option<String>, String> {
    let decode = |text| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned);
    text.map(decode).transpose().map_err(|_| "a url whose escapes are not UTF-8".to_owned())
}

fn database_of(text: &str) -> Result<Option<u16>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| "a url whose database is no number from 0 to 65535".to_owned())
}
