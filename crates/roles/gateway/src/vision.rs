//! What the gateway asks of the decoding worker. `edge/vision-link` answers it; without one, everything that needs
//! pictures decoded is refused with a reason.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use varde_api_internal::link::Message;
use varde_codec::{AccessUnit, Format};
use varde_units::Mono;

#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// All workers are busy, or none could be started; later it may work.
    #[error("the worker is not available: {0}")]
    Unavailable(String),
    /// The worker can't decode this, or what it was given is damaged.
    #[error("the worker can't do this: {0}")]
    Unsupported(String),
}

/// What a stream is encoded anew as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    H264,
    Opus,
}

#[async_trait]
pub trait Vision: Send + Sync + 'static {
    /// The picture shown at `at`, as a JPEG of at most `width` pixels across. `units` begin with an entry point.
    async fn still(
        &self,
        format: &Format,
        units: Vec<AccessUnit>,
        at: Mono,
        width: Option<u32>,
    ) -> Result<Bytes, VisionError>;

    /// Encodes a stream anew while it runs. The first message out is a format. Ends when `input` ends or the worker
    /// does; a worker that falls behind leaves units out, never waits.
    async fn transcode(
        &self,
        target: Target,
        input: BoxStream<'static, Message>,
    ) -> Result<BoxStream<'static, Message>, VisionError>;

    /// Encodes anew, in the codec that they have, the pictures shown from `from` on. `units` begin with an entry point.
    /// Times stay; the first of the answer is an entry point.
    async fn head(
        &self,
        format: &Format,
        units: Vec<AccessUnit>,
        from: Mono,
    ) -> Result<(Format, Vec<AccessUnit>), VisionError>;
}

mod pool {
    //! The workers of `edge/vision-link`.

    use async_trait::async_trait;
    use bytes::Bytes;
    use futures::stream::{self, BoxStream};
    use futures::{FutureExt, StreamExt};
    use varde_api_internal::link::Message;
    use varde_codec::{AccessUnit, Format};
    use varde_units::Mono;
    use varde_vision_link::{Offer, StreamItem, TranscodeOptions, VisionError as LinkError, VisionPool};

    use super::{Target, Vision, VisionError};

    impl From<LinkError> for VisionError {
        fn from(error: LinkError) -> Self {
            match error {
                LinkError::Busy | LinkError::Unavailable(_) | LinkError::TimedOut => {
                    Self::Unavailable(error.to_string())
                }
                LinkError::Crashed | LinkError::Refused(_) => Self::Unsupported(error.to_string()),
            }
        }
    }

    #[async_trait]
    impl Vision for VisionPool {
        async fn still(
            &self,
            format: &Format,
            units: Vec<AccessUnit>,
            at: Mono,
            width: Option<u32>,
        ) -> Result<Bytes, VisionError> {
            Ok(VisionPool::still(self, format.clone(), units, at, width).await?.jpeg)
        }

        async fn transcode(
            &self,
            target: Target,
            input: BoxStream<'static, Message>,
        ) -> Result<BoxStream<'static, Message>, VisionError> {
            let (mut sink, output) = match target {
                Target::H264 => VisionPool::transcode(self, TranscodeOptions::default())?,
                Target::Opus => self.audio()?,
            };
            // Feeds while the output is read, and ends with it.
            let feeding = async move {
                let mut input = input;
                while let Some(message) = input.next().await {
                    match message {
                        Message::Format(format) => sink.format(format),
                        Message::Unit(unit) => {
                            if sink.offer(unit) == Offer::Ended {
                                break;
                            }
                        }
                        Message::State(_) => {}
                    }
                }
            };
            let items =
                stream::unfold((output, feeding.boxed().fuse()), async |(mut output, mut feeding)| {
                    let item = loop {
                        tokio::select! {
                            item = output.next() => break item?,
                            () = &mut feeding => {}
                        }
                    };
                    match item {
                        Ok(StreamItem::Format(format)) => Some((Message::Format(format), (output, feeding))),
                        Ok(StreamItem::Unit(unit)) => Some((Message::Unit(unit), (output, feeding))),
                        Err(error) => {
                            tracing::warn!(%error, "a stream can't be encoded anew");
                            None
                        }
                    }
                });
            Ok(items.boxed())
        }

        async fn head(
            &self,
            format: &Format,
            units: Vec<AccessUnit>,
            from: Mono,
        ) -> Result<(Format, Vec<AccessUnit>), VisionError> {
            let head = self.exact_head(format.clone(), units, from).await?;
            Ok((head.format, head.units))
        }
    }
}
