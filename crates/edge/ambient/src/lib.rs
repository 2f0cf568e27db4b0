//! What a process finds around it: the real clocks, randomness and the log. Everything else gets them handed in.

mod clock;
mod log;
mod random;

pub use clock::{clock_is_synchronised, mono_now, utc_now};
pub use log::{LogFormat, log_init};
pub use random::{identifier_random, random_below_or_equal, random_bytes, random_fill, random_token};
