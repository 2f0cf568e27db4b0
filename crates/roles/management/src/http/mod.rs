//! Routes of the role, each with its permission, and their description.

mod camera;
mod preview;
mod session;
mod setup;
mod storage;
mod system;
mod ticket;
mod token;
mod user;

use std::sync::Arc;

use http::Method;
use utoipa::OpenApi;
use varde_access::Action;
use varde_http::{Permission, Routes};

use crate::role::Management;

/// The role's routes, ready to merge with other roles'.
pub fn routes(management: Arc<Management>) -> Routes {
    use Permission::{Of, Public, SignedIn};
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    Routes::<Arc<Management>>::new()
        .route(get.clone(), "/api/v1/health", Public, system::health_get)
        .route(get.clone(), "/api/v1/system", Of(Action::SystemView), system::system_get)
        .route(get.clone(), "/api/v1/setup", Public, setup::setup_get)
        .route(post.clone(), "/api/v1/setup", Public, setup::setup_do)
        .route(post.clone(), "/api/v1/sessions", Public, session::session_create)
        .route(get.clone(), "/api/v1/sessions/current", SignedIn, session::session_get)
        .route(delete.clone(), "/api/v1/sessions/current", SignedIn, session::session_delete)
        // Takes user and password, or a session: the handler asks for one of them.
        .route(post.clone(), "/api/v1/tokens", Permission::Optional, token::token_create)
        .route(get.clone(), "/api/v1/tokens", Of(Action::TokenOwn), token::token_list)
        .route(delete.clone(), "/api/v1/tokens/{id}", Of(Action::TokenOwn), token::token_delete)
        .route(post.clone(), "/api/v1/tickets", Of(Action::TokenOwn), ticket::ticket_create)
        .route(get.clone(), "/api/v1/users", Of(Action::UserView), user::user_list)
        .route(post.clone(), "/api/v1/users", Of(Action::UserChange), user::user_create)
        .route(get.clone(), "/api/v1/users/{id}", Of(Action::UserView), user::user_get)
        .route(patch.clone(), "/api/v1/users/{id}", Of(Action::UserChange), user::user_update)
        .route(delete.clone(), "/api/v1/users/{id}", Of(Action::UserChange), user::user_delete)
        .route(get.clone(), "/api/v1/cameras", Of(Action::CameraView), camera::camera_list)
        .route(post.clone(), "/api/v1/cameras", Of(Action::CameraChange), camera::camera_create)
        .route(
            get.clone(),
            "/api/v1/cameras/{id}",
            Permission::Camera(Action::CameraView),
            camera::camera_get,
        )
        .route(
            patch.clone(),
            "/api/v1/cameras/{id}",
            Permission::Camera(Action::CameraChange),
            camera::camera_update,
        )
        .route(
            delete.clone(),
            "/api/v1/cameras/{id}",
            Permission::Camera(Action::CameraChange),
            camera::camera_delete,
        )
        .route(post.clone(), "/api/v1/previews", Of(Action::CameraChange), preview::preview_create)
        .route(get.clone(), "/api/v1/previews/{id}", Of(Action::CameraChange), preview::preview_get)
        .route(delete, "/api/v1/previews/{id}", Of(Action::CameraChange), preview::preview_delete)
        .route(get.clone(), "/api/v1/storages", Of(Action::StorageView), storage::storage_list)
        .route(post, "/api/v1/storages", Of(Action::StorageChange), storage::storage_create)
        .route(get, "/api/v1/storages/{id}", Of(Action::StorageView), storage::storage_get)
        .route(patch, "/api/v1/storages/{id}", Of(Action::StorageChange), storage::storage_update)
        .with_state(management)
}

#[derive(OpenApi)]
#[openapi(
    paths(
        system::health_get,
        system::system_get,
        setup::setup_get,
        setup::setup_do,
        session::session_create,
        session::session_get,
        session::session_delete,
        token::token_create,
        token::token_list,
        token::token_delete,
        ticket::ticket_create,
        user::user_list,
        user::user_create,
        user::user_get,
        user::user_update,
        user::user_delete,
        camera::camera_list,
        camera::camera_create,
        camera::camera_get,
        camera::camera_update,
        camera::camera_delete,
        preview::preview_create,
        preview::preview_get,
        preview::preview_delete,
        storage::storage_list,
        storage::storage_create,
        storage::storage_get,
        storage::storage_update
    ),
    components(schemas(
        varde_api::codes::GapCause,
        varde_api::codes::EventType,
        varde_api::codes::CameraState,
        varde_api::codes::StorageState
    ))
)]
struct Document;

/// The description of [`routes`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
