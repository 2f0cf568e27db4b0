//! The media link as a stream of messages.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use varde_api_internal::link::{Decoder, Message};

use crate::Error;

/// Messages of one stream, as they come. Dropping it closes the link.
pub struct LiveLink {
    pieces: BoxStream<'static, Result<Bytes, Error>>,
    decoder: Decoder,
}

impl std::fmt::Debug for LiveLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveLink").finish_non_exhaustive()
    }
}

impl LiveLink {
    pub(crate) fn new(pieces: BoxStream<'static, Result<Bytes, Error>>) -> Self {
        Self { pieces, decoder: Decoder::default() }
    }

    /// The next message; `None` when the recorder ended the link. After an error the link is of no use.
    pub async fn next(&mut self) -> Result<Option<Message>, Error> {
        loop {
            if let Some(message) = self.decoder.poll().map_err(|error| Error::Malformed(error.to_string()))? {
                return Ok(Some(message));
            }
            match self.pieces.next().await {
                Some(piece) => self.decoder.push(&piece?),
                None => return Ok(None),
            }
        }
    }

    /// The same as a stream, which ends after the first error.
    pub fn into_stream(self) -> BoxStream<'static, Result<Message, Error>> {
        futures::stream::unfold(Some(self), async |link| {
            let mut link = link?;
            match link.next().await {
                Ok(Some(message)) => Some((Ok(message), Some(link))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }
}
