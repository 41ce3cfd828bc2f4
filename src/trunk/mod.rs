//! Trunks: definition, choice, health, limits.
