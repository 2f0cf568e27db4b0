//! What the role decides: accounts, sessions, cameras, storages, and the recorder's snapshot.

pub mod address;
pub mod camera;
pub mod directory;
pub mod password;
pub mod preview;
pub mod rate;
pub mod secret;
pub mod session;
pub mod setup;
pub mod snapshot;
pub mod storage;
pub mod system;
pub mod ticket;
pub mod token;
pub mod user;
