use proptest::prelude::*;
use redis::cmd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

fn in_loop<F: Future>(what: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a loop").block_on(what)
}

/// The replies in what arrives in these parts, until the connection ends.
fn replies_of(parts: Vec<Vec<u8>>) -> Vec<Value> {
    in_loop(async {
        // A small pipe: parts are cut further.
        let (own, mut server) = duplex(7);
        let mut wire = Wire::new(own);
        let write = async move {
            for part in parts {
                server.write_all(&part).await.expect("written");
            }
        };
        let read = async {
            let mut replies = Vec::new();
            while wire.exchange().await.is_ok() {
                while let Some(reply) = wire.take_reply().expect("replies") {
                    replies.push(reply);
                }
            }
            replies
        };
        tokio::join!(write, read).1
    })
}

fn bytes_of(reply: &Value) -> Vec<u8> {
    match reply {
        Value::Int(integer) => format!(":{integer}\r\n").into_bytes(),
        Value::BulkString(bytes) => {
            [format!("${}\r\n", bytes.len()).as_bytes(), bytes.as_slice(), b"\r\n"].concat()
        }
        Value::Array(values) => {
            let mut bytes = format!("*{}\r\n", values.len()).into_bytes();
            bytes.extend(values.iter().flat_map(bytes_of));
            bytes
        }
        _ => b"_\r\n".to_vec(),
    }
}

fn reply() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::BulkString),
        Just(Value::Nil),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| prop::collection::vec(inner, 0..8).prop_map(Value::Array))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replies_arrive_whole_and_in_order_however_they_are_cut(
        replies in prop::collection::vec(reply(), 1..6),
        cuts in prop::collection::vec(1..20_usize, 1..20),
    ) {
        let bytes: Vec<_> = replies.iter().flat_map(bytes_of).collect();
        let mut parts = Vec::new();
        let (mut rest, mut sizes) = (&bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (part, others) = rest.split_at((*sizes.next().expect("a cycle")).min(rest.len()));
            parts.push(part.to_vec());
            rest = others;
        }
        prop_assert_eq!(replies_of(parts), replies);
    }

    #[test]
    fn bytes_that_are_no_reply_are_an_error_or_wait_for_more(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut wire = Wire::new(duplex(1).0);
        wire.incoming.extend_from_slice(&bytes);
        // Neither a panic nor a loop without end.
        for _ in 0..bytes.len() + 1 {
            if !matches!(wire.take_reply(), Ok(Some(_))) {
                return Ok(());
            }
        }
        prop_assert!(false, "more replies than bytes");
    }
}

#[test]
fn messages_that_are_no_replies_are_passed_over() {
    let push = b">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n".to_vec();
    assert_eq!(
        replies_of(vec![push.clone(), b":1\r\n".to_vec(), push, b":2\r\n".to_vec()]),
        [Value::Int(1), Value::Int(2)]
    );
}

#[test]
fn what_was_put_is_written_once_and_errors_are_errors() {
    let (own, mut server) = duplex(16);
    let answer = async move {
        let mut received = vec![0; 14];
        server.read_exact(&mut received).await.expect("a command");
        assert_eq!(received, b"*1\r\n$4\r\nPING\r\n");
        server.write_all(b"-ERR no\r\n").await.expect("written");
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.expect("the end");
        rest
    };
    let ask = async move {
        let error = Wire::new(own).ask(&cmd("PING")).await.expect_err("an error");
        error.code().map(str::to_owned)
    };
    let (rest, code) = in_loop(async { tokio::join!(answer, ask) });
    assert_eq!((rest, code.as_deref()), (Vec::new(), Some("ERR")));
}
