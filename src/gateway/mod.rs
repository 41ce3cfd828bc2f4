//! The composition root: one task per call, inbound, browser, registry, drain.
