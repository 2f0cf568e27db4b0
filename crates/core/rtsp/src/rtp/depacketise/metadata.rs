//! ONVIF metadata over RTP (ONVIF Streaming Specification §5.1.2): XML text, a marker behind each document.

use std::collections::VecDeque;

use varde_codec::{Format, UnitFlags};

use super::Unit;

/// The longest document; what is longer is dropped.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// The first packet came; a stream may be joined in the middle of a document.
    joined: bool,
    open: Vec<u8>,
    open_time: Option<i64>,
    broken: bool,
    /// The last document ended without a marker.
    unmarked: bool,
    after_loss: bool,
    dropped: u32,
    format_told: bool,
    ready: VecDeque<Unit>,
}

impl Metadata {
    pub(super) fn format(&self) -> Option<&Format> {
        Some(&Format::Metadata)
    }

    pub(super) fn poll(&mut self) -> Option<Unit> {
        self.ready.pop_front()
    }

    pub(super) fn on_packet(&mut self, time: i64, marker: bool, payload: &[u8], lost: u32) {
        if lost > 0 {
            self.after_loss = true;
            if self.open_time.is_some() {
                self.give_up();
            }
        }
        // Where no marker came, the next timestamp ends a document.
        if self.open_time.is_some_and(|open| open != time) {
            self.unmarked = true;
            self.end_document();
        }
        if self.open_time.is_none() {
            self.open_time = Some(time);
            let sure = lost == 0 && std::mem::replace(&mut self.joined, true);
            self.broken = !sure && !begins_document(payload);
        }
        if self.open.len() + payload.len() > DOCUMENT_BYTES_MAX {
            self.broken = true;
            self.open = Vec::new();
        }
        if !self.broken {
            self.open.extend_from_slice(payload);
        }
        if marker {
            self.unmarked = false;
            self.end_document();
        }
    }

    /// The stream ends: what is open is whole only if this sender sets no markers.
    pub(super) fn flush(&mut self) {
        self.broken |= !self.unmarked && self.open_time.is_some();
        self.end_document();
    }

    fn end_document(&mut self) {
        if self.broken {
            return self.give_up();
        }
        let (Some(rtp_time), false) = (self.open_time.take(), self.open.is_empty()) else { return };
        let mut data = std::mem::take(&mut self.open);
        data.shrink_to_fit();
        let flags = UnitFlags {
            entry_point: true,
            after_loss: std::mem::take(&mut self.after_loss),
            ..UnitFlags::default()
        };
        let format = (!std::mem::replace(&mut self.format_told, true)).then_some(Format::Metadata);
        let dropped_before = std::mem::take(&mut self.dropped);
        self.ready.push_back(Unit { rtp_time, flags, data: data.into(), format, dropped_before });
    }

    fn give_up(&mut self) {
        self.broken = false;
        self.open = Vec::new();
        self.open_time = None;
        self.after_loss = true;
        self.dropped = self.dropped.saturating_add(1);
    }
}

fn begins_document(payload: &[u8]) -> bool {
    let text = payload.trim_ascii_start();
    text.starts_with(b"<?xml")
        || text.starts_with(b"<tt:MetadataStream")
        || text.starts_with(b"<MetadataStream")
}
