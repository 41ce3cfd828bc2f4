//! The bridge on a virtual clock and a seeded network: sound through it keeps its level, digits
//! their length, and nobody else is heard.

mod digits;
mod faults;
mod lab;
mod sound;
