//! HTTP: records, calls, metrics, pages.
