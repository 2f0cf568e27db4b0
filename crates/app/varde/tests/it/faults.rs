//! Faults of machine, cameras and people: what is recorded stays, recording goes on, and the timeline says why not.
//!
//! Each test is one stack with several cameras, whose faults run side by side.

mod camera;
mod clock;
mod crowd;
mod disk;
mod kill;
mod pictures;
mod rest;
