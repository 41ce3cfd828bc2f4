//! SDP: model, parser, writer, offer/answer (RFC 8866, RFC 3264).
