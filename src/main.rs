//! The `crosspoint` command.

fn main() {}
