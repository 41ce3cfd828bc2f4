//! Media: legs, bridge, worker threads, pool, ports.
