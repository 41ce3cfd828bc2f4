//! Model to text (RFC 8866 section 5): lines end with CR LF.

use std::fmt;

use super::Session;

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=0\r\n")
    }
}
