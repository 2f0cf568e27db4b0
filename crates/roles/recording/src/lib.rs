//! The recording role: drivers, rings, the store's writers, and the internal API that shows them to other roles.
//!
//! Decides what is recorded where, from a signed snapshot of its configuration alone. It opens no database, waits for
//! no other part, and knows no viewer: the gateway takes each stream once over the media link.

mod ring;
