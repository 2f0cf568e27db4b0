//! Headers of real encoders, read as they should be; and what strangers may send instead.

mod headers;
mod hostile;

/// Bytes of a hexadecimal text.
fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().as_chunks::<2>().0;
    digits.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

// Made by x264, x265 and libaom in Debian 12.
const H264_HIGH: &str = "67640028acd940780227e5c044000003000400000300c83c60c658";
const H264_HIGH_PPS: &str = "68ebe3cb22c0";
const H264_BASELINE: &str = "6742c01ed900a02ff97011000003000100000300320f162e48";
const H264_FIELDS: &str = "6764001eacd940b424d8088000000300800000190f8a14cb";
const H264_444: &str = "67f4000d919b282a10f1f1f808800000030080000019078a14cb";
const H265_VPS: &str = "40010c01ffff01600000030090000003000003005d959809";
const H265_SPS: &str =
    "42010101600000030090000003000003005da00280802d165959a4932bc05a020000030002000003003210";
const H265_PPS: &str = "4401c172b46240";
const H265_MAIN10: &str =
    "420101022000000300900000030000030078a003c08010e754d96566924caf016808000003000800000300c840";
const AV1_SEQUENCE_HEADER: &str = "0a0b0000002d4cffb3cdaf9004";
