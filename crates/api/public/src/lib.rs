//! Wire types of the public API, `/api/v1`. No logic beyond names and conversions.
//!
//! Closed lists (gap causes, camera states, event types, problem codes) live in [`codes`]; the web client's
//! TypeScript is generated from here, and clients translate codes and parameters into words.

pub mod codes;
