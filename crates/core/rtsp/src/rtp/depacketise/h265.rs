//! H.265 over RTP (RFC 7798): single NAL units, aggregation packets and fragmentation units, without DONL.

use super::nal::{Nal, Piece, SetKind, Syntax};

/// What H.265 adds to the common assembly of NAL units.
#[derive(Debug, Default)]
pub(super) struct H265 {
    /// The highest temporal sub-layer, from the SPS; pictures of lower ones may be referred to by higher ones.
    pub(super) temporal_id_max: u8,
}

impl Syntax for H265 {
    const HEADER_BYTES: usize = 2;

    fn classify(&self, nal: &[u8]) -> Nal {
        let &[high, low, ref body @ ..] = nal else { return Nal::Skip };
        // Layers above the base belong to extensions that nothing here decodes.
        if high & 1 != 0 || low >> 3 != 0 {
            return Nal::Skip;
        }
        let kind = high >> 1 & 0x3f;
        let temporal_id = (low & 7).saturating_sub(1);
        let first = body.first().is_some_and(|byte| byte & 0x80 != 0);
        match kind {
            0..=9 => Nal::Slice {
                entry: false,
                leading: matches!(kind, 8 | 9),
                disposable: kind % 2 == 0 && temporal_id >= self.temporal_id_max,
                first,
            },
            16..=21 => Nal::Slice { entry: true, leading: false, disposable: false, first },
            32 => Nal::Set(SetKind::Vps),
            33 => Nal::Set(SetKind::Sps),
            34 => Nal::Set(SetKind::Pps),
            39 => Nal::Prefix,
            // Suffix SEI stands behind the slices and never before one.
            40 => Nal::Suffix,
            _ => Nal::Skip,
        }
    }

    fn split<'a>(payload: &'a [u8], mut on_piece: impl FnMut(Piece<'a>)) -> Option<()> {
        let (&[high, low], rest) = payload.split_first_chunk::<2>()?;
        match high >> 1 & 0x3f {
            48 => {
                let mut rest = rest;
                while !rest.is_empty() {
                    let (length, tail) = rest.split_first_chunk::<2>()?;
                    let length = usize::from(u16::from_be_bytes(*length));
                    on_piece(Piece::Whole(tail.get(..length)?));
                    rest = &tail[length..];
                }
            }
            49 => {
                let (&fragment, body) = rest.split_first()?;
                let header = [high & 0x81 | (fragment & 0x3f) << 1, low];
                on_piece(Piece::fragment(header, fragment, body));
            }
            0..=47 => on_piece(Piece::Whole(payload)),
            _ => return None,
        }
        Some(())
    }

    fn set_id(&self, set: &[u8]) -> u32 {
        match set {
            [high, _, first, ..] if high >> 1 & 0x3f == 32 => u32::from(first >> 4),
            _ => super::h264::leading_ue(set.get(2..).unwrap_or_default()),
        }
    }

    fn on_sps(&mut self, sps: &[u8]) {
        self.temporal_id_max = sps.get(2).map_or(0, |byte| byte >> 1 & 7);
    }
}
