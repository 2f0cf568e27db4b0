//! The store as a whole: real files and a disk that fails.

mod crash;
mod faults;
mod fixture;
mod record_and_read;
