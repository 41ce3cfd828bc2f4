//! DTMF: digit events, decoders, arbiter, encoders, detector (RFC 4733).
