//! RTP and RTCP: packets, receiver and sender state, quality (RFC 3550).
