//! Misbehaviour: what a camera can be told to do wrong, for how long, and what is on now.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use varde_units::Mono;

use crate::options::Delivery;

/// One misbehaviour. In JSON its name stands in `fault`: `{"fault":"packet_loss","percent":5,"seconds":10}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Close all connections of the camera now. Over at once.
    Disconnect,
    /// Close each connection that asks for the camera, without an answer.
    Refuse,
    /// Send nothing; connections stay and requests are answered. What was not sent is lost.
    Freeze,
    /// Send nothing, then everything at once.
    Stall,
    /// Step the RTP clock by so many seconds, and back when it ends.
    ClockJump { seconds_jumped: f64 },
    /// Let the RTP clock run fast (or slow) by parts per million.
    Drift { ppm: f64 },
    /// Leave packets out.
    PacketLoss { percent: f64 },
    /// Swap neighbouring packets.
    Reorder { percent: f64 },
    /// Send packets twice.
    Duplicate { percent: f64 },
    /// Show another resolution, with new parameter sets.
    Resolution,
    /// 20 s from key frame to key frame.
    LongGop,
    /// Pictures whose order of display is not that of decoding.
    BFrames,
    /// Random bytes between the frames of a connection; datagrams of random bytes.
    Garbage { percent: f64 },
    /// Break RTP headers.
    MalformedRtp { percent: f64 },
    /// Break payloads: headers of NAL units, fragments, coded data.
    MalformedPayload { percent: f64 },
    /// From now on no password fits; connections are closed so that clients notice.
    WrongPassword,
    /// Answer 404 to every description and set-up.
    NotFound,
    /// Wait before each answer.
    SlowAnswers { millis: u32 },
    /// Keep packets back and send so many pictures at once.
    Batches { pictures: u16 },
    /// Change how packets leave.
    Deliver { delivery: Delivery },
}

impl Fault {
    /// A reason why the numbers make no sense.
    pub(crate) fn objection(&self) -> Option<&'static str> {
        let percent_fits = |percent: f64| (0.0..=100.0).contains(&percent);
        match *self {
            Self::PacketLoss { percent }
            | Self::Reorder { percent }
            | Self::Duplicate { percent }
            | Self::Garbage { percent }
            | Self::MalformedRtp { percent }
            | Self::MalformedPayload { percent } => (!percent_fits(percent)).then_some("percent is 0 to 100"),
            Self::ClockJump { seconds_jumped } => {
                (!(-1e6..=1e6).contains(&seconds_jumped)).then_some("seconds_jumped is at most a million")
            }
            Self::Drift { ppm } => (!(-1e5..=1e5).contains(&ppm)).then_some("ppm is at most 100000"),
            Self::SlowAnswers { millis } => (millis > 120_000).then_some("millis is at most 120000"),
            Self::Batches { pictures } => (!(1..=500).contains(&pictures)).then_some("pictures is 1 to 500"),
            Self::Deliver { delivery: Delivery::Paced { packets, micros } } => {
                (packets == 0 || micros > 100_000).then_some("packets is at least 1, micros at most 100000")
            }
            _ => None,
        }
    }

    /// Whether clients only notice when they have to come again.
    pub(crate) const fn disconnects(&self) -> bool {
        matches!(self, Self::Disconnect | Self::Refuse | Self::WrongPassword | Self::NotFound)
    }
}

/// A misbehaviour that is on.
#[derive(Clone, Debug, Serialize)]
pub struct ActiveFault {
    pub id: u64,
    #[serde(flatten)]
    pub fault: Fault,
    /// `None`: until it is ended by a call.
    #[serde(skip)]
    pub ends: Option<Mono>,
}

/// What is on at one camera. Bounded: at most [`FAULTS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Vec<ActiveFault>,
    next_id: u64,
}

/// Misbehaviours of one camera at a time.
pub(crate) const FAULTS_MAX: usize = 32;

impl Faults {
    /// `None` when there are too many already.
    pub(crate) fn start(
        &mut self,
        fault: Fault,
        duration: Option<Duration>,
        now: Mono,
    ) -> Option<ActiveFault> {
        self.expire(now);
        if self.active.len() >= FAULTS_MAX {
            return None;
        }
        self.next_id += 1;
        let active = ActiveFault { id: self.next_id, fault, ends: duration.map(|duration| now + duration) };
        if active.fault != Fault::Disconnect {
            self.active.push(active.clone());
        }
        Some(active)
    }

    pub(crate) fn end(&mut self, id: u64) -> bool {
        let before = self.active.len();
        self.active.retain(|active| active.id != id);
        self.active.len() != before
    }

    pub(crate) fn end_all(&mut self) {
        self.active.clear();
    }

    fn expire(&mut self, now: Mono) {
        self.active.retain(|active| active.ends.is_none_or(|ends| now < ends));
    }

    pub(crate) fn active(&mut self, now: Mono) -> &[ActiveFault] {
        self.expire(now);
        &self.active
    }

    /// What a stream must do at this instant.
    pub(crate) fn effects(&mut self, now: Mono) -> Effects {
        let mut effects = Effects::default();
        for active in self.active(now) {
            match active.fault {
                Fault::Freeze => effects.frozen = true,
                Fault::Stall => effects.stalled = true,
                Fault::ClockJump { seconds_jumped } => effects.jump_nanos += (seconds_jumped * 1e9) as i64,
                Fault::Drift { ppm } => effects.drift_ppm += ppm,
                Fault::PacketLoss { percent } => effects.loss = percent,
                Fault::Reorder { percent } => effects.reorder = percent,
                Fault::Duplicate { percent } => effects.duplicate = percent,
                Fault::Garbage { percent } => effects.garbage = percent,
                Fault::MalformedRtp { percent } => effects.malformed_rtp = percent,
                Fault::MalformedPayload { percent } => effects.malformed_payload = percent,
                Fault::Resolution => effects.show = Show::OtherResolution,
                Fault::LongGop => effects.show = Show::LongGop,
                Fault::BFrames => effects.show = Show::BFrames,
                Fault::WrongPassword => effects.wrong_password = true,
                Fault::NotFound => effects.not_found = true,
                Fault::Refuse => effects.refused = true,
                Fault::SlowAnswers { millis } => {
                    effects.answer_delay = Duration::from_millis(u64::from(millis));
                }
                Fault::Batches { pictures } => effects.batch = pictures,
                Fault::Deliver { delivery } => effects.delivery = Some(delivery),
                Fault::Disconnect => {}
            }
        }
        effects
    }
}

/// Which loop is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Show {
    #[default]
    Usual,
    OtherResolution,
    LongGop,
    BFrames,
}

/// The sum of what is on. Percentages are per packet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Effects {
    pub(crate) frozen: bool,
    pub(crate) stalled: bool,
    pub(crate) jump_nanos: i64,
    pub(crate) drift_ppm: f64,
    pub(crate) loss: f64,
    pub(crate) reorder: f64,
    pub(crate) duplicate: f64,
    pub(crate) garbage: f64,
    pub(crate) malformed_rtp: f64,
    pub(crate) malformed_payload: f64,
    pub(crate) show: Show,
    pub(crate) wrong_password: bool,
    pub(crate) not_found: bool,
    pub(crate) refused: bool,
    pub(crate) answer_delay: Duration,
    pub(crate) batch: u16,
    pub(crate) delivery: Option<Delivery>,
}

impl Effects {
    /// Whether packets are to be broken one by one.
    pub(crate) fn touches_packets(&self) -> bool {
        [self.loss, self.reorder, self.duplicate, self.garbage, self.malformed_rtp, self.malformed_payload]
            .iter()
            .any(|&percent| percent > 0.0)
    }
}
