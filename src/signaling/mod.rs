//! Browser signalling: JSON messages, session machine, tokens, WebSocket driver.
