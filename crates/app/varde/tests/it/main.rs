//! The whole program, as its users run it: real processes, real cameras over RTSP, the public API.

mod codecs;
mod door;
mod faults;
mod media;
mod spine;
mod stack;
mod streams;
mod walk;
mod whep;
