//! The fan-out: one link per stream, and slow viewers that hold nobody up.

use bytes::Bytes;
use futures::stream;
use serde_json::Map;
use tokio::sync::mpsc;
use varde_api_internal::link::{Message, StateMessage};
use varde_codec::{AccessUnit, Format, UnitFlags};
use varde_units::{Mono, Utc};

use super::*;
use crate::recorder::{FileBytes, LiveLink, RecorderError};

/// A recorder that hands out one live link at a time and counts them.
struct OneStream {
    links: Mutex<Vec<mpsc::Receiver<Message>>>,
    opened: std::sync::atomic::AtomicUsize,
}

#[async_trait::async_trait]
impl Recorder for OneStream {
    async fn timeline(
        &self,
        _: varde_ids::ChannelId,
        _: Utc,
        _: Utc,
        _: usize,
    ) -> Result<varde_api_internal::recorder::Timeline, RecorderError> {
        Err(RecorderError::NotFound)
    }
    async fn plan(
        &self,
        _: StreamId,
        _: Utc,
        _: Utc,
        _: bool,
        _: usize,
    ) -> Result<varde_api_internal::recorder::Plan, RecorderError> {
        Err(RecorderError::NotFound)
    }
    async fn file(
        &self,
        _: varde_ids::StorageId,
        _: &str,
        _: u64,
        _: u64,
    ) -> Result<FileBytes, RecorderError> {
        Err(RecorderError::NotFound)
    }
    async fn live(&self, _: StreamId) -> Result<LiveLink, RecorderError> {
        self.opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let link =
            self.links.lock().pop().ok_or_else(|| RecorderError::Unavailable("no link left".into()))?;
        Ok(Box::pin(stream::unfold(link, |mut link| async move { link.recv().await.map(|m| (Ok(m), link)) })))
    }
}

fn hub() -> (Hub, mpsc::Sender<Message>, Arc<OneStream>) {
    let (sender, receiver) = mpsc::channel(1_000);
    let recorder = Arc::new(OneStream { links: Mutex::new(vec![receiver]), opened: Default::default() });
    let hub = Hub { linger: Duration::from_millis(50), ..Hub::new(recorder.clone(), None, 0) };
    (hub, sender, recorder)
}

fn stream_id() -> StreamId {
    StreamId::from_bytes([7; 16])
}

fn format(width: u32) -> Message {
    Message::Format(Format::H264 { sps: Bytes::from_static(&[0x67]), pps: vec![], width, height: 2 })
}

/// 25 units a second; every tenth is an entry point.
fn unit(number: u64) -> Message {
    let time = Mono::from_nanos(1_000_000_000) + Duration::from_millis(40) * number as u32;
    Message::Unit(AccessUnit {
        sequence: number,
        time,
        decode_time: time,
        received: time,
        camera_time: None,
        flags: UnitFlags { entry_point: number.is_multiple_of(10), ..UnitFlags::default() },
        data: vec![0; 100].into(),
    })
}

async fn next_unit(subscriber: &mut Subscriber) -> (u64, bool) {
    loop {
        if let Item::Unit { unit, after_skip, .. } = subscriber.next().await {
            return (unit.sequence, after_skip);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_viewer_begins_at_the_latest_entry_point() {
    let (hub, link, recorder) = hub();
    let mut first = hub.subscribe(stream_id());
    link.send(format(4)).await.unwrap();
    for number in 0..25 {
        link.send(unit(number)).await.unwrap();
        assert_eq!(next_unit(&mut first).await, (number, false));
    }
    let mut second = hub.subscribe(stream_id());
    assert!(matches!(second.next().await, Item::State(_)));
    assert!(matches!(second.next().await, Item::Format(_)));
    assert_eq!(next_unit(&mut second).await, (20, false));
    assert_eq!(recorder.opened.load(std::sync::atomic::Ordering::Relaxed), 1, "one link for both");
    assert_eq!(hub.viewers(stream_id()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_viewer_skips_to_an_entry_point_and_holds_up_nobody() {
    let (hub, link, _) = hub();
    let (mut quick, mut slow) = (hub.subscribe(stream_id()), hub.subscribe(stream_id()));
    link.send(format(4)).await.unwrap();
    link.send(unit(0)).await.unwrap();
    assert_eq!(next_unit(&mut slow).await, (0, false));
    for number in 0..=205 {
        if number > 0 {
            link.send(unit(number)).await.unwrap();
        }
        assert_eq!(next_unit(&mut quick).await, (number, false), "the quick one loses nothing");
    }
    assert_eq!(next_unit(&mut slow).await, (200, true));
    assert_eq!(next_unit(&mut slow).await, (201, false));
}

#[tokio::test(start_paused = true)]
async fn a_new_format_and_a_state_come_before_the_units_that_they_concern() {
    let (hub, link, _) = hub();
    let mut viewer = hub.subscribe(stream_id());
    assert!(matches!(viewer.next().await, Item::State(state) if state.state == "connecting"));
    let online = StateMessage { state: "online".into(), parameters: Map::new() };
    link.send(Message::State(online)).await.unwrap();
    assert!(matches!(viewer.next().await, Item::State(state) if state.state == "online"));
    for width in [4, 8] {
        link.send(format(width)).await.unwrap();
        link.send(unit(1)).await.unwrap();
        link.send(unit(10)).await.unwrap();
        let Item::Format(format) = viewer.next().await else { panic!("a format comes first") };
        assert_eq!(format.dimensions(), Some((width, 2)));
        assert_eq!(next_unit(&mut viewer).await.0, 10, "nothing before an entry point");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_viewers_is_let_go_and_a_lost_recorder_is_told() {
    let (hub, link, recorder) = hub();
    let mut viewer = hub.subscribe(stream_id());
    assert!(matches!(viewer.next().await, Item::State(_)));
    drop(link);
    let Item::State(lost) = viewer.next().await else { panic!("the loss is told") };
    assert_eq!((lost.state.as_str(), lost.parameters["part"].as_str()), ("disconnected", Some("recorder")));
    drop(viewer);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let opened = recorder.opened.load(std::sync::atomic::Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(recorder.opened.load(std::sync::atomic::Ordering::Relaxed), opened, "nobody asks any more");
    assert_eq!(hub.viewers(stream_id()), 0);
}
