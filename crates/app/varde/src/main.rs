//! The Varde program: chooses roles, starts and guards its children.
fn main() {}
