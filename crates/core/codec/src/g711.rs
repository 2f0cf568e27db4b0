//! G.711 to linear samples (ITU-T G.711 §3), by table.

/// A-law byte to 16-bit sample.
pub const ALAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = alaw(code as u8);
        code += 1;
    }
    table
};

/// µ-law byte to 16-bit sample.
pub const ULAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = ulaw(code as u8);
        code += 1;
    }
    table
};

const fn alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, step) = (code >> 4 & 7, (code & 15) as i16);
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

const fn ulaw(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((((code & 15) as i16) << 3) + 0x84) << (code >> 4 & 7)) - 0x84;
    if code & 0x80 != 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_have_their_levels() {
        let check = |table: &[i16; 256], code: u8, level: i16| {
            assert_eq!(table[usize::from(code)], level, "{code:#x}")
        };
        check(&ALAW, 0xd5, 8);
        check(&ALAW, 0x55, -8);
        check(&ALAW, 0xaa, 32_256);
        check(&ALAW, 0x2a, -32_256);
        check(&ULAW, 0xff, 0);
        check(&ULAW, 0x7f, 0);
        check(&ULAW, 0x80, 32_124);
        check(&ULAW, 0x00, -32_124);
    }
}
