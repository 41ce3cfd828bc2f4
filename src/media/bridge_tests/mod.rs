//! The bridge on a virtual clock and a seeded network: sound through it keeps its level, digits
//! their length, and nobody else is heard.

mod allocations;
mod bad_input;
mod codecs;
mod comfort_noise;
mod digit_matrix;
mod digit_modes;
mod digit_properties;
mod digit_stalls;
mod digit_vectors;
mod digits;
mod faults;
mod hot_path;
mod lab;
mod line_keys;
mod phone;
mod play;
mod renegotiation;
mod sound;
