//! From a WHEP offer to what is sent: which payload type carries which track.

use str0m::Rtc;
use str0m::RtcConfig;
use str0m::change::SdpOffer;
use str0m::format::Codec as RtcCodec;
use str0m::media::{MediaKind, Mid, Pt};
use varde_codec::{Codec, Format};

/// Profiles a browser may offer for H.264: baseline, constrained baseline, main, high, constrained high. The level is
/// the browsers' own 3.1 with asymmetry allowed: they decode what the parameter sets say.
const H264_PROFILES: [u32; 5] = [0x42_001f, 0x42_e01f, 0x4d_001f, 0x64_001f, 0x64_0c1f];

/// Parses an offer as one that only receives: whatever the client would send is not wanted.
pub(crate) fn parse(text: &str) -> Result<SdpOffer, String> {
    let mut receiving = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim_end();
        match line {
            "a=sendrecv" => receiving.push_str("a=recvonly"),
            "a=sendonly" => return Err("the offer wants to send; WHEP only receives".to_owned()),
            _ => receiving.push_str(line),
        }
        receiving.push_str("\r\n");
    }
    SdpOffer::from_sdp_string(&receiving).map_err(|error| error.to_string())
}

/// Allows the codecs of the two tracks and nothing else.
pub(crate) fn configure(config: RtcConfig, video: Option<&Format>, audio: Option<&Format>) -> RtcConfig {
    let mut config = config.clear_codecs();
    let codecs = config.codec_config();
    match video {
        Some(Format::H264 { .. }) => {
            for (index, profile) in (0u8..).zip(H264_PROFILES) {
                codecs.add_h264((96 + 2 * index).into(), Some((97 + 2 * index).into()), true, profile);
            }
        }
        Some(Format::H265 { sps, .. }) => {
            // general_profile_idc: after the NAL header and the byte of ids (H.265 §7.3.2.2.1, §7.3.3).
            let profile = sps.get(3).map_or(1, |byte| byte & 0x1f).clamp(1, 2);
            codecs.add_h265(108.into(), Some(109.into()), profile, 0, 180);
        }
        _ => {}
    }
    match audio {
        Some(Format::Opus { .. }) => codecs.enable_opus(true, false),
        Some(Format::Alaw { .. }) => codecs.enable_pcma(true, false),
        Some(Format::Ulaw { .. }) => codecs.enable_pcmu(true, false),
        _ => {}
    }
    config
}

/// The media section and payload type for `format`; `None` when the offer has none that fits.
pub(crate) fn choose(rtc: &Rtc, mids: &[(Mid, MediaKind)], format: &Format) -> Option<(Mid, Pt)> {
    let (kind, wanted) = match format.codec() {
        Codec::H264 => (MediaKind::Video, RtcCodec::H264),
        Codec::H265 => (MediaKind::Video, RtcCodec::H265),
        Codec::Opus => (MediaKind::Audio, RtcCodec::Opus),
        Codec::Alaw => (MediaKind::Audio, RtcCodec::PCMA),
        Codec::Ulaw => (MediaKind::Audio, RtcCodec::PCMU),
        _ => return None,
    };
    let own_profile = match format {
        Format::H264 { sps, .. } => sps.get(1).copied().unwrap_or(0),
        _ => 0,
    };
    mids.iter().filter(|(_, of)| *of == kind).find_map(|(mid, _)| {
        let offered = rtc.media(*mid)?.remote_pts();
        rtc.codec_config()
            .params()
            .iter()
            .filter(|params| params.spec().codec == wanted && offered.contains(&params.pt()))
            .min_by_key(|params| {
                let profile = params.spec().format.profile_level_id.map_or(0, |id| (id >> 16) as u8);
                profile_distance(own_profile, profile)
            })
            .map(|params| (*mid, params.pt()))
    })
}

/// The same profile is best, then one that contains ours. Any other still comes before no picture: decoders go by the
/// parameter sets.
fn profile_distance(own: u8, offered: u8) -> u8 {
    match (own, offered) {
        _ if own == offered => 0,
        (66, 77 | 100) | (77, 100) => 1,
        _ => 2,
    }
}
