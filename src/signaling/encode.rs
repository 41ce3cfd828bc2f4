//! From replies and events to texts.

use serde::Serialize;

use super::{Event, Refusal, Reply, RequestId};

/// A reply or refusal with the request it belongs to, as text.
pub fn encode_reply(re: RequestId, outcome: &Result<Reply, Refusal>) -> String {
    #[derive(Serialize)]
    struct Granted<'a> {
        re: RequestId,
        ok: bool,
        #[serde(flatten)]
        reply: &'a Reply,
    }
    #[derive(Serialize)]
    struct Refused<'a> {
        re: RequestId,
        error: &'a Refusal,
    }
    match outcome {
        Ok(reply) => serde_json::to_string(&Granted { re, ok: true, reply }),
        Err(error) => serde_json::to_string(&Refused { re, error }),
    }
    .expect("strings, numbers and maps with string keys")
}

/// An event with its number, as text.
pub fn encode_event(seq: u64, event: &Event) -> String {
    #[derive(Serialize)]
    struct Numbered<'a> {
        seq: u64,
        #[serde(flatten)]
        event: &'a Event,
    }
    serde_json::to_string(&Numbered { seq, event })
        .expect("strings, numbers and maps with string keys")
}
