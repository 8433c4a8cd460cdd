use sluice_core::{Grant, GrantId, GrantShare, RateLimiterConfig, RateLimiterOptions};

use super::*;
use crate::composer::tests::name;
use crate::lease::LocalFleet;
use crate::server::{AccountOptions, Server, Urls};
use crate::test_server::TestServer;

const MINUTE: u64 = 60_000;

/// A limiter that decides by leases.
pub(super) fn leasing(url: &str) -> Arc<FleetLimiter> {
    let urls = Urls::One(url.to_owned());
    let options = FleetOptions {
        server: Server::new("RateLimiter scope.redis", &urls, AccountOptions::default()).expect("a server"),
        mode: Mode::Lease,
        timeout_ms: MINUTE,
        on_error: OnError::Deny,
        prefix: "sluice:".to_owned(),
    };
    // A unit lapses after six seconds, long after a test has looked at it.
    let config = RateLimiterConfig::try_from(RateLimiterOptions::single(10, MINUTE)).expect("valid");
    let local = Arc::new(RateLimiter::new("api", config));
    Arc::new(FleetLimiter::new("api", options, local).expect("valid"))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "not in time: {what}");
        std::thread::yield_now();
    }
}

fn key() -> KeyHash {
    KeyHash::from_halves(1, 2)
}

#[test]
fn asks_again_once_the_server_could_not_be_asked() {
    // No server ever listens there.
    let fleet = leasing("redis://127.0.0.1:1");
    let plan = fleet.plan_for(None).expect("valid");
    let leases = plan.leases.as_ref().expect("by leases");
    let (now, client) = (clock::elapsing(), name("a"));
    let ask = || leases.ask(&client, key(), clock::elapsing(), now + of_ms(MINUTE));
    assert!(ask() > 0);
    assert_eq!(ask(), 0, "one is under way");
    let operation = Operation::Lease { cost: 1, calls: 1, beside: 0, spare: [0; MAX_LIMITS] };
    let request = Request::new(Arc::clone(&plan), client.clone(), operation);
    fleet.without_server(&request, key(), Failure::Full);
    assert!(ask() > 0, "it was not asked");

    // A request of which nothing waits for the answer.
    assert!(fleet.leave(request).is_ok());
    wait_until("the server is away", || fleet.link.is_away());
    wait_until("the request is dropped", || ask() > 0);

    // Used fast, so that more is asked for ahead.
    let share = GrantShare { length: 0, kept: 0, follows: 0, id: GrantId::default() };
    let used = Grant { sent: now, used: 1_000_000, shares: &[share] };
    assert!(leases.granted(&client, key(), &used, clock::elapsing()));
    fleet.ask_ahead(&plan, client.clone(), key());
    assert!(ask() > 0, "nothing is under way");
}

#[test]
fn gives_back_what_is_held_as_it_ends() {
    let Some(server) = TestServer::start() else { return };
    // It answers: a call that comes before is dropped.
    drop(server.connection());
    let fleet = leasing(&server.url());
    let leases = fleet.plan_for(None).expect("valid").leases.clone().expect("by leases");
    let mut local = LocalFleet::new(Arc::clone(&fleet));
    local.try_consume(key(), 1, || name("a")).expect("open");
    // It may have gone back already: what is not used does within half a second.
    wait_until("a unit is held", || fleet.held() != (0, 0));
    sluice_core::Instance::close(&*fleet);
    drop((local, fleet));
    wait_until("the server has taken the unit back", || leases.given_back() == 1);
}
