//! Tickets for media URLs: in memory alone, narrower than their user, ended with whatever made them.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use varde_access::{Action, Bounds, Footage, Purpose};
use varde_ambient::random_token;
use varde_api::codes::ProblemCode;
use varde_api::token::{Ticket, TicketCreate, TicketPurpose};
use varde_http::{Credential, Principal, Problem};
use varde_ids::{SessionId, UserId};
use varde_units::Utc;

use super::secret::secret_hash;
use crate::role::Management;

const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
const LIFETIME_MAX: Duration = Duration::from_secs(12 * 3600);
const PER_USER_MAX: usize = 256;
const CAMERAS_MAX: usize = 64;

#[derive(Clone, Debug)]
pub struct TicketEntry {
    pub user: UserId,
    pub bounds: Bounds,
    /// The session or token that asked for it, and with which it ends.
    pub maker: Credential,
    created: Utc,
    used: Utc,
}

#[derive(Debug, Default)]
pub struct Tickets {
    by_hash: Mutex<HashMap<String, TicketEntry>>,
}

fn is_alive(ticket: &TicketEntry, now: Utc) -> bool {
    now.since(ticket.used) < IDLE_MAX && now.since(ticket.created) < LIFETIME_MAX
}

impl Tickets {
    pub fn get(&self, text: &str, now: Utc) -> Option<TicketEntry> {
        self.by_hash.lock().get(&secret_hash(text)).filter(|ticket| is_alive(ticket, now)).cloned()
    }

    /// Counts as use; gives the maker.
    pub fn use_it(&self, text: &str, now: Utc) -> Option<Credential> {
        let mut by_hash = self.by_hash.lock();
        let ticket = by_hash.get_mut(&secret_hash(text)).filter(|ticket| is_alive(ticket, now))?;
        ticket.used = now;
        Some(ticket.maker.clone())
    }

    pub fn remove_of_session(&self, id: SessionId) {
        self.by_hash.lock().retain(
            |_, ticket| !matches!(ticket.maker, Credential::Session { id: maker, .. } if maker == id),
        );
    }

    pub fn forget_ended(&self, now: Utc) {
        self.by_hash.lock().retain(|_, ticket| is_alive(ticket, now));
    }

    /// At the limit, the user's ticket that rested longest goes.
    fn insert(&self, text: &str, ticket: TicketEntry) {
        let mut by_hash = self.by_hash.lock();
        let own = by_hash.iter().filter(|(_, other)| other.user == ticket.user);
        let (count, oldest) = own.fold((0, None), |(count, oldest), (hash, other)| match oldest {
            Some((used, _)) if used <= other.used => (count + 1, oldest),
            _ => (count + 1, Some((other.used, hash.clone()))),
        });
        if count >= PER_USER_MAX
            && let Some((_, hash)) = oldest
        {
            by_hash.remove(&hash);
        }
        by_hash.insert(secret_hash(text), ticket);
    }
}

impl Management {
    pub fn ticket_create(&self, request: TicketCreate, principal: &Principal) -> Result<Ticket, Problem> {
        if request.cameras.is_empty() || request.cameras.len() > CAMERAS_MAX {
            return Err(Problem::new(ProblemCode::InvalidRequest, "A ticket is for 1 to 64 cameras.")
                .parameter("field", "cameras"));
        }
        let footage = match (request.start, request.end) {
            (None, None) => None,
            (Some(start), Some(end)) => Some(
                Footage::new(start, end)
                    .ok_or_else(|| Problem::invalid("end", "`end` lies before `start`."))?,
            ),
            _ => return Err(Problem::invalid("end", "`start` and `end` come together.")),
        };
        let (purpose, action) = match request.purpose {
            TicketPurpose::Live => (Purpose::Live, Action::LiveView),
            TicketPurpose::Playback => (Purpose::Playback, Action::PlaybackView),
            TicketPurpose::Export => (Purpose::Export, Action::Export),
        };
        for &camera in &request.cameras {
            let _permit = principal.allow(action, camera, footage)?;
            self.camera_exists(camera)?;
        }
        let now = self.now();
        let text = random_token();
        let bounds = Bounds { cameras: request.cameras.into_iter().collect(), purpose, footage };
        let ticket = TicketEntry {
            user: principal.subject().user,
            bounds,
            maker: principal.identity.credential.clone(),
            created: now,
            used: now,
        };
        self.tickets.insert(&text, ticket);
        Ok(Ticket { ticket: text, expires_at: now.plus(IDLE_MAX) })
    }
}
