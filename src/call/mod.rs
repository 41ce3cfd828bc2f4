//! A call: legs, state machine, record. Knows legs, not protocols.
