//! The surface as a client sees it: status, headers, bodies.
