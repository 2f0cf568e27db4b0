//! Just enough H.265 to show the bundled footage without its guard rows (ITU-T H.265 §7.3.2.2).

use crate::bits::{BitReader, BitWriter, escape, unescape};

/// The sequence parameter set with its conformance window cut to `height` rows below `top` rows.
/// `None` for sets with sub-layers or another chroma format, which the footage has not.
pub(crate) fn cropped(nal: &[u8], top: u32, height: u32) -> Option<Vec<u8>> {
    /// Profile, tier and level of one layer.
    const PROFILE_BITS: u32 = 96;
    let body = unescape(nal.get(2..)?);
    let mut reader = BitReader::new(&body);
    reader.bits(4)?;
    if reader.bits(3)? != 0 {
        return None;
    }
    reader.bit()?;
    (0..PROFILE_BITS / 32).try_for_each(|_| reader.bits(32).map(drop))?;
    reader.unsigned()?;
    if reader.unsigned()? != 1 {
        return None;
    }
    reader.unsigned()?;
    let coded_height = reader.unsigned()?;
    let window_at = reader.position();
    if reader.bit()? {
        (0..4).try_for_each(|_| reader.unsigned().map(drop))?;
    }
    let rest_at = reader.position();
    let bottom = coded_height.checked_sub(top.checked_add(height)?)?;
    let mut writer = BitWriter::default();
    writer.copy(&body, 0, window_at);
    writer.bit(true);
    // In units of two rows.
    [0, 0, top / 2, bottom / 2].into_iter().for_each(|crop| writer.unsigned(crop));
    let last = body.iter().rposition(|&byte| byte != 0)?;
    writer.copy(&body, rest_at, last * 8 + 7 - body[last].trailing_zeros() as usize);
    let mut out = nal[..2].to_vec();
    escape(&writer.finish(), &mut out);
    Some(out)
}
