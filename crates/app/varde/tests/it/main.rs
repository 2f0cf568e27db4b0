//! The whole program, as its users run it: real processes, real cameras over RTSP, the public API.

mod faults;
mod spine;
mod stack;
