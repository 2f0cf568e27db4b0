//! The role in process: its routes behind the real door, a database in a temporary folder, a recorder in memory.

mod camera;
mod door;
mod preview;
mod session;
mod stage;
mod storage;
mod ticket;
mod token;
mod user;
mod walk;
