//! Nested boxes into one buffer: a box is opened, filled, and gets its size when it closes.

use crate::error::WriteError;
use crate::sample::UserBox;

#[derive(Debug, Default)]
pub(crate) struct BoxWriter {
    pub(crate) out: Vec<u8>,
}

impl BoxWriter {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// Writes a box around what `body` writes.
    pub(crate) fn boxed<T>(&mut self, kind: &[u8; 4], body: impl FnOnce(&mut Self) -> T) -> T {
        let start = self.out.len();
        self.u32(0);
        self.bytes(kind);
        let result = body(self);
        // Boxes around media are written elsewhere: what stands here is headers, bounded by the callers' limits.
        let size = u32::try_from(self.out.len() - start).expect("limits keep header boxes below 4 GiB");
        self.out[start..start + 4].copy_from_slice(&size.to_be_bytes());
        result
    }

    /// Writes a full box: one with version and flags.
    pub(crate) fn full<T>(
        &mut self,
        kind: &[u8; 4],
        version: u8,
        flags: u32,
        body: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.boxed(kind, |writer| {
            writer.u32(u32::from(version) << 24 | flags);
            body(writer)
        })
    }

    pub(crate) fn user(&mut self, user: &UserBox<'_>) -> Result<(), WriteError> {
        const USER_BYTES_MAX: usize = 16 << 20;
        if user.body.len() > USER_BYTES_MAX {
            return Err(WriteError::Full { what: "a uuid box" });
        }
        self.boxed(b"uuid", |writer| {
            writer.bytes(user.kind);
            writer.bytes(user.body);
        });
        Ok(())
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn zeros(&mut self, count: usize) {
        self.out.resize(self.out.len() + count, 0);
    }
}
