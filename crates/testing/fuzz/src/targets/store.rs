//! What lies in a store and what our own servers tell each other; and the times and identifiers in both.

use varde_api_internal::config::RecorderConfig;
use varde_api_internal::link::{self, Decoder, MESSAGE_BYTES_MAX, Message, StateMessage};
use varde_codec::{AccessUnit, UnitFlags};
use varde_footage::{
    Digest, FileIdentity, FilePath, FragmentRecord, Frames, LedgerState, SampleEntry, SignedSummary,
    StoreDocument, Trailer, push_frame, read_entries,
};
use varde_ids::ChannelId;
use varde_units::{Day, Mono, Utc};

use super::Target;
use super::protocol::formats;

fn frames(bodies: &[&str]) -> Vec<u8> {
    let mut log = Vec::new();
    bodies.iter().for_each(|body| push_frame(&mut log, body.as_bytes()));
    log
}

pub(super) const LEDGER: Target = Target {
    name: "ledger",
    words: &[b"\"kind\":", b"\"at\":", b"gap_begin", b"epoch_granted", b"9999-12-30T22:00:00.000000Z"],
    seeds: || {
        let at = "\"at\":\"2026-11-23T20:00:00.000000Z\"";
        let id = "01980f1e-7c3a-7cc1-a9ab-0123456789ab";
        let records = [
            format!("{{{at},\"kind\":\"storage_identity\",\"storage\":\"{id}\"}}"),
            format!("{{{at},\"kind\":\"writer_start\",\"writer\":\"{id}\"}}"),
            format!(
                "{{{at},\"kind\":\"epoch_granted\",\"epoch\":3,\"writer\":\"{id}\",\"reason\":\"writer_started\",\
                 \"mapping\":{{\"mono\":5,\"utc\":\"2026-11-23T20:00:00.000000Z\"}}}}"
            ),
            format!("{{{at},\"kind\":\"epoch_redated\",\"epoch\":3,\"offset_micros\":-9223372036854775808}}"),
            format!("{{{at},\"kind\":\"gap_end\",\"gap\":7,\"end\":\"2026-11-23T20:00:00.000000Z\"}}"),
            format!("{{{at},\"kind\":\"outbox_event\",\"event\":\"{id}\",\"body\":{{\"a\":[1,2]}}}}"),
            format!("{{{at},\"kind\":\"of_a_newer_release\",\"a\":1}}"),
            format!("{{{at},\"kind\":\"state\",\"epoch\":3,\"gap\":1,\"open_gaps\":[],\"locks\":[]}}"),
        ];
        let mut seeds: Vec<Vec<u8>> = records.iter().map(|record| frames(&[record])).collect();
        seeds.push(seeds.concat());
        seeds
    },
    run: |input| {
        let check = |log: &[u8]| {
            let (entries, _) = read_entries(log, 0);
            let mut state = LedgerState::default();
            let mut at = 0;
            for (end, entry) in &entries {
                assert!(*end > at && *end <= log.len(), "entries stand behind each other");
                at = *end;
                state.apply(entry);
                let before = state.clone();
                state.apply(entry);
                assert!(before == state, "a record twice changes nothing: {entry:?}");
            }
        };
        check(input);
        // The checksum would hide the records from mutation: the input itself as a body, too.
        let mut log = Vec::new();
        for body in input.split(|byte| *byte == 0) {
            push_frame(&mut log, body.get(8..).unwrap_or(body));
            push_frame(&mut log, body);
        }
        check(&log);
    },
};

pub(super) const CATALOGUE: Target = Target {
    name: "catalogue",
    words: &[b"uuid", b"\"format\":", b"\"must_understand\":[", &[0, 0, 0, 1]],
    seeds: || {
        let mut record = Vec::new();
        FragmentRecord {
            sequence: 9,
            durable: 8,
            start: Utc::EPOCH,
            camera_time: Some(Utc::EPOCH),
            payload: Digest::of(b"media"),
            previous: Digest::of(b"before"),
            leaf: Digest::of(b"leaf"),
            key_frame: Some(Digest::of(b"key")),
            seal: None,
            samples: vec![SampleEntry { duration: 3_600, size: 5, composition: -1, flags: 1 }; 3],
        }
        .encode(&mut record);
        let signed = SignedSummary { json: b"{\"format\":1}".to_vec(), signature: [1; 64], key: [2; 32] };
        let mut summary = Vec::new();
        signed.encode(&mut summary);
        let trailer = Trailer::encode(&signed, &[], &[]);
        let id = "01980f1e-7c3a-7cc1-a9ab-0123456789ab";
        let path = format!("{id}/2026-11-23/20261123T194000.123Z-{id}-3-1.mp4");
        vec![record, summary, trailer, path.into_bytes(), frames(&["{}", "{\"a\":1}"])]
    },
    run: |input| {
        if let Ok(record) = FragmentRecord::decode(input) {
            assert!(record.samples.len() <= varde_footage::SAMPLES_MAX);
            let mut again = Vec::new();
            record.encode(&mut again);
            assert_eq!(FragmentRecord::decode(&again), Ok(record.clone()), "it can be written again");
            let _ = (record.duration(), record.media_bytes(), record.entry_point());
        }
        if let Ok((signed, rest)) = SignedSummary::decode(input) {
            assert!(rest.len() < input.len());
            let _ = (signed.summary(), signed.verify(&[]));
        }
        if let Ok(trailer) = Trailer::decode(input) {
            assert_eq!(trailer.rows.len(), trailer.leaves.len());
        }
        assert!(Frames::new(input).count() <= input.len());
        let _ = (FileIdentity::from_json(input), StoreDocument::from_json(input));
        if let Ok(text) = std::str::from_utf8(input)
            && let Ok(path) = text.parse::<FilePath>()
        {
            assert_eq!(path.to_string(), text, "one file has one path");
        }
    },
};

pub(super) const LINK: Target = Target {
    name: "link",
    words: &[b"{\"codec\":\"h264\"", b"\"state\":", &[0, 0, 0, 42, 2], &[0, 0, 0, 1, 9]],
    seeds: || {
        let unit = AccessUnit {
            sequence: 1,
            time: Mono::from_nanos(5),
            decode_time: Mono::from_nanos(4),
            received: Mono::from_nanos(6),
            camera_time: None,
            flags: UnitFlags { entry_point: true, ..UnitFlags::default() },
            data: b"picture".as_slice().into(),
        };
        let state = StateMessage { state: "silent".into(), parameters: serde_json::Map::new() };
        let mut seeds: Vec<Vec<u8>> =
            formats().into_iter().map(|format| link::encode(&Message::Format(format)).to_vec()).collect();
        seeds.push(link::encode(&Message::Unit(unit)).to_vec());
        seeds.push(link::encode(&Message::State(state)).to_vec());
        seeds.push(seeds.concat());
        seeds
    },
    run: |input| {
        let mut decoder = Decoder::default();
        let mut came = 0;
        'all: for piece in input.chunks(97) {
            decoder.push(piece);
            loop {
                match decoder.poll() {
                    Ok(Some(message)) => {
                        came += 1;
                        let whole = link::encode(&message);
                        assert!(whole.len() <= MESSAGE_BYTES_MAX + 4 && came <= input.len());
                    }
                    Ok(None) => break,
                    Err(_) => break 'all,
                }
            }
        }
    },
};

pub(super) const CONFIG: Target = Target {
    name: "config",
    words: &[b"\"hardware\":[", b"\"channels\":[", b"null", b"\"streams\":[", b"\\ud800"],
    seeds: Vec::new,
    run: |input| {
        if let Ok(config) = serde_json::from_slice::<RecorderConfig>(input) {
            let text = serde_json::to_vec(&config).expect("a configuration is plain data");
            assert_eq!(serde_json::from_slice::<RecorderConfig>(&text).ok(), Some(config));
        }
    },
};

pub(super) const TIMES: Target = Target {
    name: "times",
    words: &[b"T", b"Z", b"+23:59", b"-00:00", b".999999999", b"9999-12-31", b"0000-01-01"],
    seeds: Vec::new,
    run: |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Ok(at) = text.parse::<Utc>() {
            assert_eq!(at.to_string().parse(), Ok(at), "{text:?}");
            assert!(at.day().start() <= at && !at.file_name().is_empty());
        }
        if let Ok(day) = text.parse::<Day>() {
            assert_eq!(day.to_string().parse(), Ok(day), "{text:?}");
        }
    },
};

pub(super) const IDS: Target = Target {
    name: "ids",
    words: &[b"-", b"01980f1e", b"{", b"urn:uuid:"],
    seeds: Vec::new,
    run: |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Ok(id) = text.parse::<ChannelId>() {
            assert_eq!(id.to_string(), text, "one object has one spelling");
        }
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds that no parser takes would let mutations test nothing but refusal.
    #[test]
    fn seeds_are_read() {
        for seed in (LEDGER.seeds)() {
            let (entries, torn) = read_entries(&seed, 0);
            assert!(!entries.is_empty() && !torn, "{}", String::from_utf8_lossy(&seed));
            for (_, entry) in entries {
                let known = !matches!(entry.record, varde_footage::LedgerRecord::Unknown(_));
                assert_eq!(known, !String::from_utf8_lossy(&entry.to_json()).contains("newer"), "{entry:?}");
            }
        }
        for seed in (LINK.seeds)() {
            let mut decoder = Decoder::default();
            decoder.push(&seed);
            assert!(matches!(decoder.poll(), Ok(Some(_))));
        }
        let catalogue = (CATALOGUE.seeds)();
        assert!(FragmentRecord::decode(&catalogue[0]).is_ok());
        assert!(SignedSummary::decode(&catalogue[1]).is_ok());
        assert!(String::from_utf8_lossy(&catalogue[3]).parse::<FilePath>().is_ok());
        let config = include_bytes!("../../corpus/config/one-camera");
        serde_json::from_slice::<RecorderConfig>(config).unwrap();
    }
}
