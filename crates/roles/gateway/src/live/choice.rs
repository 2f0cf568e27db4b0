//! Which of a camera's streams a viewer gets: the first of those wanted that the viewer can show as it is.

use std::sync::Arc;
use std::time::Duration;

use varde_api::camera::StreamPurpose;
use varde_api::media::LiveChoice;
use varde_codec::Format;
use varde_http::CameraEntry;
use varde_ids::StreamId;

use crate::hub::{Hub, Item, StateInfo, Subscriber};

/// How long a stream may take to tell its format before the next one is asked.
const FORMAT_WITHIN: Duration = Duration::from_secs(4);

/// The streams to try, in order. A camera without the wanted one gives another: a tile without a picture helps nobody.
/// A retired camera has none.
pub(crate) fn candidates(camera: &CameraEntry, choice: LiveChoice) -> Vec<StreamId> {
    if camera.retired {
        return Vec::new();
    }
    let live = camera.stream(StreamPurpose::Live).or(camera.streams.first().map(|stream| stream.id));
    let sub = camera.stream(StreamPurpose::Sub);
    let mut list: Vec<StreamId> = match choice {
        LiveChoice::Live => live.into_iter().collect(),
        LiveChoice::Sub => sub.or(live).into_iter().collect(),
        LiveChoice::Auto => live.into_iter().chain(sub).collect(),
    };
    list.dedup();
    list
}

/// What came of the search.
#[derive(Debug)]
pub(crate) enum Chosen {
    /// This stream passes as it is.
    AsIs { subscriber: Subscriber, format: Arc<Format> },
    /// None passes; this one could be encoded anew.
    Other { stream: StreamId, format: Arc<Format> },
    /// No stream told its format in time; the state is that of the first.
    Silent { state: Option<StateInfo> },
}

/// Asks the candidates in order. `on_state` hears of the first one's states.
pub(crate) async fn choose(
    hub: &Hub,
    candidates: &[StreamId],
    accepts: impl Fn(&Subscriber, &Format) -> bool,
    mut on_state: impl FnMut(&StateInfo),
) -> Chosen {
    let mut other = None;
    let mut first_state = None;
    for (index, &stream) in candidates.iter().enumerate() {
        let mut subscriber = hub.subscribe(stream);
        let deadline = tokio::time::sleep(FORMAT_WITHIN);
        tokio::pin!(deadline);
        let format = loop {
            tokio::select! {
                item = subscriber.next() => match item {
                    Item::Format(format) => break Some(format),
                    Item::State(state) if index == 0 => {
                        on_state(&state);
                        first_state = Some(state);
                    }
                    _ => {}
                },
                () = &mut deadline => break None,
            }
        };
        match format {
            Some(format) if accepts(&subscriber, &format) => return Chosen::AsIs { subscriber, format },
            // The last is the smallest, and the cheapest to encode anew.
            Some(format) => other = Some((stream, format)),
            None => {}
        }
    }
    match other {
        Some((stream, format)) => Chosen::Other { stream, format },
        None => Chosen::Silent { state: first_state },
    }
}

#[cfg(test)]
mod tests {
    use varde_http::StreamEntry;
    use varde_ids::ChannelId;

    use super::*;

    #[test]
    fn the_wanted_stream_comes_first_and_another_before_none() {
        let id = |number: u8| StreamId::from_bytes([number; 16]);
        let entry = |number, roles: &[StreamPurpose]| StreamEntry { id: id(number), roles: roles.to_vec() };
        let camera = |streams: Vec<StreamEntry>| CameraEntry {
            id: ChannelId::from_bytes([0; 16]),
            name: String::new(),
            enabled: true,
            retired: false,
            preview: false,
            streams,
            microphone: None,
        };
        let check = |streams: Vec<StreamEntry>, choice, expected: &[u8]| {
            let expected: Vec<_> = expected.iter().map(|&number| id(number)).collect();
            assert_eq!(candidates(&camera(streams), choice), expected, "{choice:?}");
        };
        let both =
            || vec![entry(1, &[StreamPurpose::Live, StreamPurpose::Record]), entry(2, &[StreamPurpose::Sub])];
        check(both(), LiveChoice::Auto, &[1, 2]);
        check(both(), LiveChoice::Live, &[1]);
        check(both(), LiveChoice::Sub, &[2]);
        check(vec![entry(1, &[StreamPurpose::Record])], LiveChoice::Sub, &[1]);
        check(vec![], LiveChoice::Auto, &[]);
        let retired = CameraEntry { retired: true, ..camera(both()) };
        assert!(candidates(&retired, LiveChoice::Auto).is_empty(), "a retired camera");
    }
}
