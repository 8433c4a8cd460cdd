//! The server that keeps the counts: where it is, and how to log in. Credentials are never printed.

use std::fmt;

use percent_encoding::percent_decode_str;
use sluice_core::Error;
use url::Url;

const DEFAULT_PORT: u16 = 6379;

const ACCEPTED: &str =
    "\"redis://[user:password@]host[:port][/database]\" or \"unix:///path/to.sock[?db=number]\"";

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// Over TCP.
    Tcp { host: String, port: u16 },
    /// A Unix socket.
    Unix { path: String },
}

/// A server, and the account to use there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Server {
    pub(crate) address: Address,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: u16,
}

/// What a url lacks or has wrong. The url itself is never repeated: it may hold a password.
fn invalid(option: &str, given: &str) -> Error {
    Error::InvalidOption { option: option.to_owned(), given: given.to_owned(), accepted: ACCEPTED.to_owned() }
}

impl Server {
    /// Reads a url. `option` names it in errors.
    ///
    /// # Errors
    ///
    /// `INVALID_OPTION` for anything else than a url of a server.
    pub fn parse(option: &str, url: &str) -> Result<Self, Error> {
        let parsed = Url::parse(url).map_err(|error| invalid(option, &format!("no url: {error}")))?;
        if parsed.fragment().is_some() {
            return Err(invalid(option, "a url with a fragment; a \"#\" of a password is written %23"));
        }
        match parsed.scheme() {
            "redis" => Self::over_tcp(option, &parsed),
            "unix" | "redis+unix" => Self::over_socket(option, &parsed),
            scheme => Err(invalid(option, &format!("a url of the scheme \"{scheme}\""))),
        }
    }

    /// The same server with another account or database, where they are given.
    ///
    /// # Errors
    ///
    /// `INVALID_OPTION` for a database that is none.
    pub fn with_account(
        mut self,
        option: &str,
        (username, password): (Option<String>, Option<String>),
        database: Option<f64>,
    ) -> Result<Self, Error> {
        self.username = username.or(self.username);
        self.password = password.or(self.password);
        if let Some(database) = database {
            let given = database.to_string();
            let parsed = given.parse().map_err(|_| Error::InvalidOption {
                option: format!("{option}.database"),
                given: given.clone(),
                accepted: format!("an integer from 0 to {}", u16::MAX),
            });
            self.database = parsed?;
        }
        Ok(self)
    }

    fn over_tcp(option: &str, url: &Url) -> Result<Self, Error> {
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| invalid(option, "a url without a host"))?;
        if url.query().is_some() {
            return Err(invalid(option, "a url with a query; a \"?\" of a password is written %3F"));
        }
        Ok(Self {
            // An address of IPv6 has brackets in a url only.
            address: Address::Tcp {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: url.port().unwrap_or(DEFAULT_PORT),
            },
            username: decoded(option, Some(url.username()).filter(|name| !name.is_empty()))?,
            password: decoded(option, url.password())?,
            database: database_of(option, url.path().trim_matches('/'))?,
        })
    }

    fn over_socket(option: &str, url: &Url) -> Result<Self, Error> {
        let path = decoded(option, Some(url.path()))?.unwrap_or_default();
        if path.len() < 2 {
            return Err(invalid(option, "a url without the path of a socket"));
        }
        let mut server =
            Self { address: Address::Unix { path }, username: None, password: None, database: 0 };
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" => server.database = database_of(option, &value)?,
                "user" => server.username = Some(value.into_owned()),
                "pass" => server.password = Some(value.into_owned()),
                _ => return Err(invalid(option, "a url with an unknown parameter; known: db, user, pass")),
            }
        }
        Ok(server)
    }
}

fn decoded(option: &str, text: Option<&str>) -> Result<Option<String>, Error> {
    let decode = |text| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned);
    text.map(decode).transpose().map_err(|_| invalid(option, "a url whose escapes are not UTF-8"))
}

fn database_of(option: &str, text: &str) -> Result<u16, Error> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| invalid(option, "a url whose database is no number from 0 to 65535"))
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, database, .. } = self;
        match address {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}/{database}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}/{database}"),
            Address::Unix { path } => write!(f, "unix:{path} database {database}"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Server, Error> {
        Server::parse("RateLimiter scope.redis", url)
    }

    #[test]
    fn reads_what_urls_say() {
        let server = parse("redis://me:p%40ss@cache.example:7000/3").expect("valid");
        assert_eq!(server.to_string(), "cache.example:7000/3");
        assert_eq!((server.username.as_deref(), server.password.as_deref()), (Some("me"), Some("p@ss")));
        assert_eq!(parse("redis://:secret@[::1]").expect("valid").to_string(), "[::1]:6379/0");
        let socket = parse("unix:///run/redis.sock?db=2&pass=secret").expect("valid");
        assert_eq!(socket.to_string(), "unix:/run/redis.sock database 2");
    }

    #[test]
    fn prints_no_credentials() {
        let server = parse("redis://user:secret@h").expect("valid");
        assert!(!format!("{server:?} {server}").contains("secret"));
        for url in
            ["redis://u:secret@", "redis://u:secret@h:port", "http://u:secret@h", "redis://u:secret@h/x"]
        {
            let error = parse(url).expect_err(url);
            assert_eq!(error.code(), "INVALID_OPTION");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn takes_another_account() {
        let account = (None, Some("other".to_owned()));
        let server =
            parse("redis://u:secret@h").and_then(|server| server.with_account("o", account, Some(4.0)));
        let server = server.expect("valid");
        assert_eq!((server.password.as_deref(), server.database), (Some("other"), 4));
        assert!(parse("redis://h").expect("valid").with_account("o", (None, None), Some(0.5)).is_err());
    }
}
