//! What the gateway asks of a recorder. `edge/recorder-link` answers it over the recorder's socket; tests answer it
//! from memory.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use varde_api_internal::link::Message;
use varde_api_internal::recorder::{Plan, Timeline};
use varde_ids::{ChannelId, StorageId, StreamId};
use varde_units::Utc;

/// Why a recorder did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// No such stream, channel or file.
    #[error("the recorder has no such thing")]
    NotFound,
    /// The byte range begins behind the file's end.
    #[error("the range lies behind the end of the file")]
    OutOfRange,
    /// It does not answer; it may later.
    #[error("the recorder does not answer: {0}")]
    Unavailable(String),
}

/// Bytes of a file, with its length where the recorder tells one.
pub struct FileBytes {
    /// Bytes in this answer.
    pub length: Option<u64>,
    /// Bytes of the whole file so far.
    pub total: Option<u64>,
    pub body: BoxStream<'static, Result<Bytes, RecorderError>>,
}

impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileBytes")
            .field("length", &self.length)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// The media link of one stream: formats, units and states as they come.
pub type LiveLink = BoxStream<'static, Result<Message, RecorderError>>;

#[async_trait]
pub trait Recorder: Send + Sync + 'static {
    async fn timeline(
        &self,
        channel: ChannelId,
        start: Utc,
        end: Utc,
        limit: usize,
    ) -> Result<Timeline, RecorderError>;

    async fn plan(
        &self,
        stream: StreamId,
        start: Utc,
        end: Utc,
        entry_points_only: bool,
        limit: usize,
    ) -> Result<Plan, RecorderError>;

    /// `length` bytes of a media file from `offset`; fewer where the file ends before.
    async fn file(
        &self,
        storage: StorageId,
        file: &str,
        offset: u64,
        length: u64,
    ) -> Result<FileBytes, RecorderError>;

    /// The stream from its latest entry point on.
    async fn live(&self, stream: StreamId) -> Result<LiveLink, RecorderError>;
}

mod over_socket {
    //! The recorder behind its Unix socket.

    use async_trait::async_trait;
    use futures::StreamExt;
    use varde_api_internal::recorder::{Plan, Timeline};
    use varde_ids::{ChannelId, StorageId, StreamId};
    use varde_recorder_link::{Error, LiveFrom, RecorderClient};
    use varde_units::Utc;

    use super::{FileBytes, LiveLink, Recorder, RecorderError};

    impl From<Error> for RecorderError {
        fn from(error: Error) -> Self {
            match error {
                Error::NotFound => Self::NotFound,
                Error::OutOfRange => Self::OutOfRange,
                other => Self::Unavailable(other.to_string()),
            }
        }
    }

    #[async_trait]
    impl Recorder for RecorderClient {
        async fn timeline(
            &self,
            channel: ChannelId,
            start: Utc,
            end: Utc,
            limit: usize,
        ) -> Result<Timeline, RecorderError> {
            Ok(RecorderClient::timeline(self, channel, start, end, Some(limit)).await?)
        }

        async fn plan(
            &self,
            stream: StreamId,
            start: Utc,
            end: Utc,
            entry_points_only: bool,
            limit: usize,
        ) -> Result<Plan, RecorderError> {
            Ok(RecorderClient::plan(self, stream, start, end, entry_points_only, Some(limit)).await?)
        }

        async fn file(
            &self,
            storage: StorageId,
            file: &str,
            offset: u64,
            length: u64,
        ) -> Result<FileBytes, RecorderError> {
            let bytes = RecorderClient::file(self, storage, file, offset, length).await?;
            let body = bytes.body.map(|piece| piece.map_err(RecorderError::from)).boxed();
            Ok(FileBytes { length: bytes.length, total: bytes.total, body })
        }

        async fn live(&self, stream: StreamId) -> Result<LiveLink, RecorderError> {
            let link = RecorderClient::live(self, stream, LiveFrom::Entry).await?;
            Ok(link.into_stream().map(|message| message.map_err(RecorderError::from)).boxed())
        }
    }
}
