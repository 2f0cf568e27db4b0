//! The OpenAPI description of the gateway's routes.

use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    paths(
        crate::playback::timeline::timeline,
        crate::playback::timeline::plan,
        crate::playback::file::file,
        crate::playback::hls::playlist,
        crate::playback::entry_points::entry_points,
        crate::playback::recording::recording,
        crate::playback::frame::frame,
        crate::live::socket::socket,
        crate::live::whep::whep_open,
        crate::live::whep::whep_trickle,
        crate::live::whep::whep_close,
        crate::exports::http::create,
        crate::exports::http::list,
        crate::exports::http::get,
        crate::exports::http::delete,
        crate::exports::http::file
    ),
    components(schemas(
        varde_api::media::LiveChoice,
        varde_api::media::LiveMessage,
        varde_api::media::LiveCommand
    ))
)]
struct Document;

/// The description of [`crate::Gateway::routes`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
