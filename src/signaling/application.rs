//! `call.message`: what a page and its application's server tell each other of a call. The gateway carries
//! it and does not look into it: to the server as the event `call.message`, to the page as it is.

use serde::Deserialize;
use serde_json::Value;

use crate::base::{CallId, Secret};

/// `call.message`, from the page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CallMessage {
    /// The call.
    pub call: CallId,
    /// What is said.
    pub data: Words,
}

/// Any JSON of at most [`MAX_WORDS_BYTES`]; it may be anything, so it is never logged.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Words(Secret<Value>);

impl Words {
    /// The value, for its receiver.
    pub fn expose(&self) -> &Value {
        self.0.expose()
    }
}

impl serde::Serialize for Words {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.expose().serialize(serializer)
    }
}

impl TryFrom<Value> for Words {
    type Error = String;

    fn try_from(value: Value) -> Result<Words, String> {
        let length = value.to_string().len();
        if length > MAX_WORDS_BYTES {
            return Err(format!("`data` has {length} bytes of at most {MAX_WORDS_BYTES}"));
        }
        Ok(Words(Secret::new(value)))
    }
}

/// Small: those who follow events keep thousands of them.
pub const MAX_WORDS_BYTES: usize = 4096;
