//! SIP: codec over rsip's types, transactions, dialogs, sessions, transports (RFC 3261).
