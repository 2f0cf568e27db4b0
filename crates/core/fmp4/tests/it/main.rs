//! Files of this crate in the hands of FFmpeg, and bytes of strangers in the hands of this crate.

mod clip;
mod hostile;
mod players;
