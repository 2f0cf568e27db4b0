//! Leases: what is being read is not deleted. A lease ends when it is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use varde_ids::ChannelId;
use varde_units::Utc;

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    held: BTreeMap<u64, (ChannelId, Utc, Utc)>,
}

/// All leases of a storage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases(Arc<Mutex<Inner>>);

/// Keeps a stretch of a channel from retention while it lives.
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    id: u64,
}

impl Leases {
    pub(crate) fn open(&self, channel: ChannelId, start: Utc, end: Utc) -> Lease {
        let mut inner = self.0.lock();
        inner.next += 1;
        let id = inner.next;
        inner.held.insert(id, (channel, start, end));
        Lease { leases: self.clone(), id }
    }

    pub(crate) fn covers(&self, channel: ChannelId, start: Utc, end: Utc) -> bool {
        let inner = self.0.lock();
        inner.held.values().any(|&(held, from, until)| held == channel && from < end && start < until)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.0.lock().held.remove(&self.id);
    }
}
