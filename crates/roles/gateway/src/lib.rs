//! The gateway role: everything that viewers ask for, live and recorded.
//!
//! Decides who gets which stream in which form, and within which limits. Refuses to know how media is recorded: it asks
//! a [`Recorder`], takes each stream once, and does all viewers' work itself, so that no viewer reaches the recorder.

mod exports;
mod files;
mod gateway;
mod hub;
mod live;
mod openapi;
mod playback;
mod problem;
mod recorder;
mod vision;
mod web;

pub use gateway::{Gateway, GatewayOptions, Limits};
pub use openapi::openapi;
pub use recorder::{FileBytes, LiveLink, Recorder, RecorderError};
pub use vision::{Target, Vision, VisionError};
pub use web::web_client;
