//! The server that keeps the counts: where it is, and how to log in. Credentials are never printed.

mod url;

use std::fmt;

use sluice_core::Error;

use self::url::ServerUrl;
use crate::tls::{Tls, TlsOptions};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// Over TCP.
    Tcp { host: String, port: u16 },
    /// A Unix socket.
    Unix { path: String },
}

/// How to log in to a server.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Access {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: u16,
    pub(crate) tls: Option<Tls>,
}

/// One server: where it is, and how to log in there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) address: Address,
    pub(crate) access: Access,
}

/// A server whose place sentinels know.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Master {
    pub(crate) name: String,
    pub(crate) sentinels: Vec<Node>,
    /// How to log in to the master.
    pub(crate) access: Access,
}

/// What one connection leads to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Node(Node),
    Master(Master),
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Place(Place),
    /// A cluster, by some of its nodes.
    Cluster(Vec<Node>),
}

/// A server, or several that act as one, and the account to use there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Server(pub(crate) Target);

/// Where the counts are, by urls.
#[derive(Clone, Debug)]
pub enum Urls {
    /// One server.
    One(String),
    /// The sentinels of a master of this name.
    Sentinels(Vec<String>, String),
    /// Nodes of a cluster; they know the others.
    Nodes(Vec<String>),
}

/// What beside the urls says how to log in; it goes before what they say.
#[derive(Clone, Default)]
pub struct AccountOptions {
    /// The user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// The number of the database.
    pub database: Option<f64>,
    /// How to encrypt.
    pub tls: Option<TlsOptions>,
}

impl fmt::Debug for AccountOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountOptions").field("database", &self.database).finish_non_exhaustive()
    }
}

pub(crate) fn invalid(option: &str, given: &str, accepted: &str) -> Error {
    Error::InvalidOption { option: option.to_owned(), given: given.to_owned(), accepted: accepted.to_owned() }
}

impl Server {
    /// Reads the options of a server. `option` names it in errors, which repeat neither urls nor credentials.
    ///
    /// # Errors
    ///
    /// `INVALID_OPTION` for what is no url of a server, and for certificates that cannot be used.
    pub fn new(option: &str, urls: &Urls, account: AccountOptions) -> Result<Self, Error> {
        let reader = Reader::new(option, account)?;
        let target = match urls {
            Urls::One(url) => Target::Place(Place::Node(reader.node(option, url)?)),
            Urls::Sentinels(urls, name) => Target::Place(Place::Master(reader.master(urls, name)?)),
            Urls::Nodes(urls) => Target::Cluster(reader.nodes(urls)?),
        };
        Ok(Self(target))
    }
}

/// The options that hold for each url.
struct Reader<'a> {
    option: &'a str,
    username: Option<String>,
    password: Option<String>,
    database: Option<u16>,
    tls: Option<Tls>,
    tls_options: TlsOptions,
}

impl<'a> Reader<'a> {
    fn new(option: &'a str, account: AccountOptions) -> Result<Self, Error> {
        let AccountOptions { username, password, database, tls } = account;
        let database = database.map(|database| database_of(option, database)).transpose()?;
        let tls_options = tls.clone().unwrap_or_default();
        let tls = tls.filter(|tls| tls.is_asked_for).map(|tls| Tls::new(option, &tls)).transpose()?;
        Ok(Self { option, username, password, database, tls, tls_options })
    }

    fn node(&self, option: &str, url: &str) -> Result<Node, Error> {
        let url = ServerUrl::parse(option, url)?;
        if matches!(url.address, Address::Unix { .. }) && self.tls.is_some() {
            return Err(invalid(&format!("{option}.tls"), "given with a Unix socket", "a \"rediss://\" url"));
        }
        let tls = self.tls_for(&url)?;
        let access = Access {
            username: self.username.clone().or(url.username),
            password: self.password.clone().or(url.password),
            database: self.database.or(url.database).unwrap_or_default(),
            tls,
        };
        Ok(Node { address: url.address, access })
    }

    /// The account of a sentinel is in its url; the options are those of the master.
    fn master(&self, urls: &[String], name: &str) -> Result<Master, Error> {
        let mut sentinels = Vec::with_capacity(urls.len());
        let mut tls = self.tls.clone();
        for url in self.parse_all("sentinels", urls)? {
            if url.database.is_some() {
                let option = format!("{}.sentinels", self.option);
                return Err(invalid(
                    &option,
                    "a url with a database",
                    "\"redis://host:port\"; set `database`",
                ));
            }
            let own = if url.is_tls { self.tls_for(&url)? } else { None };
            tls = tls.or_else(|| own.clone());
            let access = Access { username: url.username, password: url.password, database: 0, tls: own };
            sentinels.push(Node { address: url.address, access });
        }
        let (username, password) = (self.username.clone(), self.password.clone());
        let access = Access { username, password, database: self.database.unwrap_or_default(), tls };
        Ok(Master { name: name.to_owned(), sentinels, access })
    }

    /// All nodes have one account, which one of the urls may say.
    fn nodes(&self, urls: &[String]) -> Result<Vec<Node>, Error> {
        let option = format!("{}.nodes", self.option);
        let mut urls = self.parse_all("nodes", urls)?;
        let database = self.database.into_iter().chain(urls.iter().filter_map(|url| url.database));
        if database.into_iter().any(|database| database != 0) {
            return Err(invalid(
                &option,
                "given with a database",
                "no database: a cluster has number 0 only",
            ));
        }
        if urls.iter().any(|url| url.is_tls != urls[0].is_tls) {
            return Err(invalid(&option, "urls with and without TLS", "urls of one scheme"));
        }
        let account = urls.iter().position(|url| url.password.is_some()).unwrap_or_default();
        let (username, password) = (urls[account].username.take(), urls[account].password.take());
        let access = Access {
            username: self.username.clone().or(username),
            password: self.password.clone().or(password),
            database: 0,
            tls: self.tls_for(&urls[0])?,
        };
        Ok(urls.into_iter().map(|url| Node { address: url.address, access: access.clone() }).collect())
    }

    fn parse_all(&self, name: &str, urls: &[String]) -> Result<Vec<ServerUrl>, Error> {
        let option = format!("{}.{name}", self.option);
        let parsed: Vec<_> =
            urls.iter().map(|url| ServerUrl::parse(&option, url)).collect::<Result<_, _>>()?;
        if parsed.is_empty() {
            return Err(invalid(&option, "empty", "one url or more"));
        }
        if parsed.iter().any(|url| matches!(url.address, Address::Unix { .. })) {
            return Err(invalid(&option, "a url of a Unix socket", "urls of hosts"));
        }
        Ok(parsed)
    }

    fn tls_for(&self, url: &ServerUrl) -> Result<Option<Tls>, Error> {
        if self.tls.is_some() || !url.is_tls {
            return Ok(self.tls.clone());
        }
        Tls::new(self.option, &self.tls_options).map(Some)
    }
}

fn database_of(option: &str, database: f64) -> Result<u16, Error> {
    let given = database.to_string();
    let accepted = format!("an integer from 0 to {}", u16::MAX);
    given.parse().map_err(|_| invalid(&format!("{option}.database"), &given, &accepted))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path } => write!(f, "unix:{path}"),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, database) = (&self.address, self.access.database);
        match address {
            Address::Tcp { .. } => write!(f, "{address}/{database}"),
            Address::Unix { .. } => write!(f, "{address} database {database}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Master(Master { name, sentinels, access }) => {
                write!(f, "{name:?}/{} of sentinels {}", access.database, listed(sentinels))
            }
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Place(place) => place.fmt(f),
            Target::Cluster(nodes) => write!(f, "cluster {}", listed(nodes)),
        }
    }
}

fn listed(nodes: &[Node]) -> String {
    nodes.iter().map(|node| node.address.to_string()).collect::<Vec<_>>().join(", ")
}

macro_rules! debug_as_display {
    ($($type:ty),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

debug_as_display!(Node, Place, Server);

#[cfg(test)]
mod tests;
