//! The playout buffer: reordering, target delay, playout decisions.
