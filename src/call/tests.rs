//! Flows of a call, named by their transitions.
