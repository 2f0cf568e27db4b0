//! Forgets what has ended: previews, sessions, tokens, tickets.

use std::time::Duration;

use crate::app::session::{IDLE_MAX, LIFETIME_MAX};
use crate::role::Management;

const INTERVAL: Duration = Duration::from_secs(2);
/// Rows of the database are tidied once in so many rounds.
const DATABASE_ROUNDS: u32 = 900;

pub async fn tidy(management: &Management) {
    let mut round: u32 = 0;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = management.now();
        if management.previews.forget_ended(now) && management.revise(0).await.is_err() {
            tracing::warn!("an ended preview stays with the recorder until the database answers");
        }
        management.sessions.forget_ended(now);
        management.tickets.forget_ended(now);
        round = round.wrapping_add(1);
        if round.is_multiple_of(DATABASE_ROUNDS) {
            let sessions =
                management.database.session_delete_older(now.minus(LIFETIME_MAX), now.minus(IDLE_MAX)).await;
            let tokens = management.database.token_delete_expired(now).await;
            if let Err(error) = sessions.and(tokens) {
                tracing::warn!(%error, "ended sessions and tokens stay in the database for now");
            }
        }
    }
}
