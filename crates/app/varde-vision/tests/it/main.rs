//! The real worker, driven by the pool that the server uses, on clips made by FFmpeg.

mod clip;
mod jobs;
mod pool;
