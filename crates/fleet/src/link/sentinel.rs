//! Asking sentinels where the master is.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Value, cmd};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::connection::{log_in, text_of};
use super::settle::explain;
use crate::server::{Address, Master, Node};

/// Sentinels that have not answered by then are not waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// The master that most sentinels name, once half of them name it or all have answered: one that was cut off from the
/// others may name a master of the past.
pub(super) async fn find(master: &Master) -> Result<Node, String> {
    let mut answers = JoinSet::new();
    for sentinel in &master.sentinels {
        let (sentinel, name) = (sentinel.clone(), master.name.clone());
        answers.spawn(async move { ask(&sentinel, &name).await });
    }
    let until = Instant::now() + PATIENCE;
    let enough = master.sentinels.len().div_ceil(2);
    let mut votes: HashMap<Address, usize> = HashMap::new();
    let mut errors = Vec::new();
    while let Ok(Some(answer)) = timeout_at(until, answers.join_next()).await {
        match answer {
            Ok(Ok(address)) => {
                let count = votes.entry(address).or_default();
                *count += 1;
                if *count >= enough {
                    break;
                }
            }
            Ok(Err(why)) => errors.push(why),
            Err(error) => errors.push(error.to_string()),
        }
    }
    let named = votes.into_iter().max_by_key(|(_, count)| *count);
    match named {
        Some((address, _)) => Ok(Node { address, access: master.access.clone() }),
        None if errors.is_empty() => Err(format!("no sentinel answers within {} ms", PATIENCE.as_millis())),
        None => Err(errors.join("; ")),
    }
}

async fn ask(sentinel: &Node, name: &str) -> Result<Address, String> {
    let (mut wire, _) = log_in(sentinel).await.map_err(|why| format!("sentinel {why}"))?;
    let question = cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).to_owned();
    let answer = wire.ask(&question).await;
    let at = &sentinel.address;
    match answer {
        Ok(Value::ServerError(error)) => Err(format!("sentinel {at}: {}", explain(&error.into()))),
        Ok(value) => match (value.as_sequence().and_then(address_of), value) {
            (Some(address), _) => Ok(address),
            (None, Value::Nil) => Err(format!("sentinel {at} knows no master {name:?}")),
            (None, _) => Err(format!("sentinel {at} answers as none does")),
        },
        Err(error) => Err(format!("sentinel {at}: {}", explain(&error))),
    }
}

fn address_of(answer: &[Value]) -> Option<Address> {
    let [host, port] = answer else { return None };
    Some(Address::Tcp { host: text_of(host)?, port: text_of(port)?.parse().ok()? })
}
