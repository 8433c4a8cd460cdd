use super::*;

const OPTION: &str = "RateLimiter scope.redis";

fn server(urls: &Urls, account: AccountOptions) -> Result<Server, Error> {
    Server::new(OPTION, urls, account)
}

fn parse(url: &str) -> Result<Server, Error> {
    server(&Urls::One(url.to_owned()), AccountOptions::default())
}

fn node(url: &str) -> Node {
    match parse(url).expect(url).0 {
        Target::Place(Place::Node(node)) => node,
        _ => panic!("one server"),
    }
}

fn texts(urls: &[&str]) -> Vec<String> {
    urls.iter().map(|url| (*url).to_owned()).collect()
}

#[test]
fn reads_what_urls_say() {
    let one = node("redis://me:p%40ss@cache.example:7000/3");
    assert_eq!(one.to_string(), "cache.example:7000/3");
    let Access { username, password, tls, .. } = one.access;
    assert_eq!((username.as_deref(), password.as_deref()), (Some("me"), Some("p@ss")));
    assert!(tls.is_none());
    assert_eq!(node("redis://:secret@[::1]").to_string(), "[::1]:6379/0");
    assert_eq!(
        node("unix:///run/redis.sock?db=2&pass=secret").to_string(),
        "unix:/run/redis.sock database 2"
    );
    assert!(node("rediss://cache.example").access.tls.is_some());
}

#[test]
fn prints_no_credentials() {
    let one = parse("redis://user:secret@h").expect("valid");
    assert!(!format!("{one:?} {one}").contains("secret"));
    for url in ["redis://u:secret@", "redis://u:secret@h:port", "http://u:secret@h", "redis://u:secret@h/x"] {
        let error = parse(url).expect_err(url);
        assert_eq!(error.code(), "INVALID_OPTION");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn takes_another_account() {
    let account = |database| AccountOptions {
        password: Some("other".to_owned()),
        database: Some(database),
        ..AccountOptions::default()
    };
    let one = Urls::One("redis://u:secret@h/2".to_owned());
    let Target::Place(Place::Node(node)) = server(&one, account(4.0)).expect("valid").0 else {
        panic!("one")
    };
    let Access { username, password, database, .. } = node.access;
    assert_eq!((username.as_deref(), password.as_deref(), database), (Some("u"), Some("other"), 4));
    assert!(server(&one, account(0.5)).is_err());
}

#[test]
fn sentinels_have_accounts_of_their_own() {
    let urls = Urls::Sentinels(texts(&["redis://:theirs@s1:26379", "rediss://s2:26379"]), "main".to_owned());
    let account = AccountOptions { password: Some("own".to_owned()), ..AccountOptions::default() };
    let read = server(&urls, account).expect("valid");
    assert_eq!(read.to_string(), "\"main\"/0 of sentinels s1:26379, s2:26379");
    let Target::Place(Place::Master(master)) = read.0 else { panic!("a master") };
    assert_eq!(master.sentinels[0].access.password.as_deref(), Some("theirs"));
    assert_eq!(master.sentinels[1].access.password, None);
    let tls: Vec<_> = master.sentinels.iter().map(|sentinel| sentinel.access.tls.is_some()).collect();
    assert_eq!((tls, master.access.tls.is_some()), (vec![false, true], true));
    assert_eq!(master.access.password.as_deref(), Some("own"));
    for urls in [vec![], texts(&["redis://s1/3"]), texts(&["unix:///run/s"])] {
        let error = server(&Urls::Sentinels(urls, "main".to_owned()), AccountOptions::default());
        assert_eq!(error.expect_err("invalid").code(), "INVALID_OPTION");
    }
}

#[test]
fn nodes_have_one_account() {
    let urls = Urls::Nodes(texts(&["redis://a:7000", "redis://u:secret@b:7001"]));
    let read = server(&urls, AccountOptions::default()).expect("valid");
    assert_eq!(read.to_string(), "cluster a:7000, b:7001");
    let Target::Cluster(nodes) = read.0 else { panic!("a cluster") };
    assert!(nodes.iter().all(|node| node.access.password.as_deref() == Some("secret")));
    for urls in [vec![], texts(&["redis://a/1"]), texts(&["redis://a", "rediss://b"])] {
        assert!(server(&Urls::Nodes(urls), AccountOptions::default()).is_err());
    }
}
