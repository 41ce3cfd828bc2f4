//! What the machine under the gateway gives: the certificate authorities that it believes, folders that only
//! their owner reads.
//!
//! Imports nothing of ours. It reads and makes files, so only drivers use it.

mod authorities;
mod private_folder;

pub use authorities::{authorities, client_trusting};
pub use private_folder::make_private_folder;
