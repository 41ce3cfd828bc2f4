//! The dial plan: load, check, evaluate, explain. Pure functions of their arguments.
