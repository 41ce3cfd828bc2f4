//! Traces as OpenTelemetry's protocol has them (OTLP 1.x, `trace/v1/trace.proto`), as far as a call needs:
//! spans with attributes and events, in protobuf. Pure; the ids are the caller's.

use std::time::Duration;

use prost::Message;
use sha2::{Digest, Sha256};

/// One call as spans.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// 16 octets, not all zero.
    pub id: [u8; 16],
    /// The first is the root; a parent stands before its children.
    pub spans: Vec<Span>,
}

/// Something that took time.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What it was.
    pub name: String,
    /// The place of its parent in the trace; `None` for the root.
    pub parent: Option<usize>,
    /// Who asked whom.
    pub kind: SpanKind,
    /// Since 1970.
    pub begun: Duration,
    /// Since 1970, not before it began.
    pub ended: Duration,
    /// What is known about it.
    pub attributes: Vec<Attribute>,
    /// What happened in it.
    pub events: Vec<SpanEvent>,
    /// Why it failed, where it did.
    pub failed: Option<String>,
}

/// Who asked whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Neither.
    Internal,
    /// Somebody asked us.
    Server,
    /// We asked somebody.
    Client,
}

/// A moment in a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    /// What happened.
    pub name: String,
    /// Since 1970.
    pub at: Duration,
    /// What is known about it.
    pub attributes: Vec<Attribute>,
}

/// A name and a value.
pub type Attribute = (&'static str, AttributeValue);

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum AttributeValue {
    Text(String),
    Whole(i64),
    Number(f64),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> AttributeValue {
        AttributeValue::Text(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> AttributeValue {
        AttributeValue::Text(text)
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> AttributeValue {
        AttributeValue::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// The body of an export request for these traces of the gateway `service`.
pub fn export(service: &str, traces: &[Trace]) -> Vec<u8> {
    let spans = traces.iter().flat_map(spans_of).collect();
    let scope =
        wire::Scope { name: "crosspoint".into(), version: env!("CARGO_PKG_VERSION").into() };
    let resource = wire::Resource {
        attributes: vec![
            key_value("service.name", &service.into()),
            key_value("service.version", &env!("CARGO_PKG_VERSION").into()),
        ],
    };
    let scope_spans = vec![wire::ScopeSpans { scope: Some(scope), spans }];
    let request = wire::ExportTraceServiceRequest {
        resource_spans: vec![wire::ResourceSpans { resource: Some(resource), scope_spans }],
    };
    request.encode_to_vec()
}

fn spans_of(trace: &Trace) -> impl Iterator<Item = wire::Span> {
    trace.spans.iter().enumerate().map(|(place, span)| wire::Span {
        trace_id: trace.id.to_vec(),
        span_id: span_id(trace, place),
        parent_span_id: span.parent.map(|parent| span_id(trace, parent)).unwrap_or_default(),
        name: span.name.clone(),
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
        },
        start_time_unix_nano: nanos(span.begun),
        end_time_unix_nano: nanos(span.ended.max(span.begun)),
        attributes: span.attributes.iter().map(|(key, value)| key_value(key, value)).collect(),
        events: span.events.iter().map(event).collect(),
        // Unset is what the specification wants where nothing failed.
        status: span.failed.as_ref().map(|why| wire::Status { message: why.clone(), code: 2 }),
    })
}

/// The same for the same span whoever asks: what is sent again is the same.
fn span_id(trace: &Trace, place: usize) -> Vec<u8> {
    let digest = Sha256::new().chain_update(trace.id).chain_update(place.to_be_bytes()).finalize();
    digest[..8].to_vec()
}

fn event(event: &SpanEvent) -> wire::Event {
    wire::Event {
        time_unix_nano: nanos(event.at),
        name: event.name.clone(),
        attributes: event.attributes.iter().map(|(key, value)| key_value(key, value)).collect(),
    }
}

fn key_value(key: &str, value: &AttributeValue) -> wire::KeyValue {
    let value = match value {
        AttributeValue::Text(text) => wire::Value::Text(text.clone()),
        AttributeValue::Whole(number) => wire::Value::Whole(*number),
        AttributeValue::Number(number) => wire::Value::Number(*number),
    };
    wire::KeyValue { key: key.to_owned(), value: Some(wire::AnyValue { value: Some(value) }) }
}

fn nanos(since_1970: Duration) -> u64 {
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

/// The messages as they are encoded, fields by their numbers in the `.proto` files.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportTraceServiceRequest {
        #[prost(message, repeated, tag = "1")]
        pub resource_spans: Vec<ResourceSpans>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ResourceSpans {
        #[prost(message, optional, tag = "1")]
        pub resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        pub scope_spans: Vec<ScopeSpans>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Resource {
        #[prost(message, repeated, tag = "1")]
        pub attributes: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ScopeSpans {
        #[prost(message, optional, tag = "1")]
        pub scope: Option<Scope>,
        #[prost(message, repeated, tag = "2")]
        pub spans: Vec<Span>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Scope {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub version: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Span {
        #[prost(bytes = "vec", tag = "1")]
        pub trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub span_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "4")]
        pub parent_span_id: Vec<u8>,
        #[prost(string, tag = "5")]
        pub name: String,
        #[prost(int32, tag = "6")]
        pub kind: i32,
        #[prost(fixed64, tag = "7")]
        pub start_time_unix_nano: u64,
        #[prost(fixed64, tag = "8")]
        pub end_time_unix_nano: u64,
        #[prost(message, repeated, tag = "9")]
        pub attributes: Vec<KeyValue>,
        #[prost(message, repeated, tag = "11")]
        pub events: Vec<Event>,
        #[prost(message, optional, tag = "15")]
        pub status: Option<Status>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Event {
        #[prost(fixed64, tag = "1")]
        pub time_unix_nano: u64,
        #[prost(string, tag = "2")]
        pub name: String,
        #[prost(message, repeated, tag = "3")]
        pub attributes: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Status {
        #[prost(string, tag = "2")]
        pub message: String,
        #[prost(int32, tag = "3")]
        pub code: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct KeyValue {
        #[prost(string, tag = "1")]
        pub key: String,
        #[prost(message, optional, tag = "2")]
        pub value: Option<AnyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct AnyValue {
        #[prost(oneof = "Value", tags = "1, 3, 4")]
        pub value: Option<Value>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Value {
        #[prost(string, tag = "1")]
        Text(String),
        #[prost(int64, tag = "3")]
        Whole(i64),
        #[prost(double, tag = "4")]
        Number(f64),
    }
}
