//! The one typed configuration, composed of each domain's own.
