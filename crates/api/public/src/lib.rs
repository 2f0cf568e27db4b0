//! Wire types of the public API, `/api/v1`. No logic beyond names and conversions.
//!
//! Closed lists (gap causes, camera states, event types, problem codes) live in [`codes`]; the web client's
//! TypeScript is generated from here, and clients translate codes and parameters into words.
//! What people and strangers send is strict: unknown fields are refused.

pub mod camera;
pub mod codes;
pub mod event;
mod list;
pub mod media;
pub mod preview;
pub mod problem;
pub mod session;
pub mod storage;
pub mod system;
pub mod token;
pub mod user;

pub use list::{List, patch};
