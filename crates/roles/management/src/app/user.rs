//! Accounts.

use std::collections::BTreeSet;

use varde_access::{CameraScope, Role};
use varde_ambient::identifier_random;
use varde_api::codes::ProblemCode;
use varde_api::user::{User, UserCameras, UserCreate, UserRole, UserUpdate};
use varde_database::{Error, UserRow};
use varde_http::{Credential, Principal, Problem};
use varde_ids::UserId;

use super::password;
use crate::problem;
use crate::role::Management;

const USERS_MAX: usize = 10_000;

pub const fn role_public(role: Role) -> UserRole {
    match role {
        Role::Administrator => UserRole::Administrator,
        Role::Operator => UserRole::Operator,
        Role::Viewer => UserRole::Viewer,
    }
}

const fn role_inner(role: UserRole) -> Role {
    match role {
        UserRole::Administrator => Role::Administrator,
        UserRole::Operator => Role::Operator,
        UserRole::Viewer => Role::Viewer,
    }
}

fn user_public(row: &UserRow) -> User {
    let cameras = match &row.cameras {
        CameraScope::All => UserCameras::ALL,
        CameraScope::Set(cameras) => UserCameras::Set(cameras.iter().copied().collect()),
    };
    User {
        id: row.id,
        name: row.name.clone(),
        role: role_public(row.role),
        cameras,
        enabled: row.enabled,
        version: row.version,
    }
}

fn change_problem(error: Error, version: u64) -> Problem {
    match error {
        Error::Reference => {
            Problem::new(ProblemCode::LastAdministrator, "Nobody would be left who could administer Varde.")
                .hint("Make another enabled administrator first.")
        }
        Error::AlreadyExists(_) => {
            Problem::new(ProblemCode::AlreadyExists, "A user of this name exists.").parameter("field", "name")
        }
        other => problem::change(other, version),
    }
}

impl Management {
    pub fn user_list(&self) -> Vec<User> {
        self.configuration().users.iter().map(user_public).collect()
    }

    pub fn user_get(&self, id: UserId) -> Result<User, Problem> {
        let configuration = self.configuration();
        configuration.users.iter().find(|user| user.id == id).map(user_public).ok_or_else(Problem::not_found)
    }

    pub async fn user_create(&self, request: UserCreate) -> Result<User, Problem> {
        let name = problem::name("name", &request.name)?;
        password::check(&request.password, &name)?;
        let role = role_inner(request.role);
        let cameras = self.scope(role, request.cameras.unwrap_or(UserCameras::ALL))?;
        let password_hash = self.passwords.hash(&request.password).await?;
        let now = self.now();
        let user = UserRow {
            id: UserId::new(now, identifier_random()),
            name,
            password_hash,
            role,
            cameras,
            enabled: request.enabled.unwrap_or(true),
            created_at: now,
            version: 1,
        };
        let _change = self.changing.lock().await;
        if self.configuration().users.len() >= USERS_MAX {
            return Err(Problem::new(ProblemCode::LimitReached, "There are as many users as Varde holds.")
                .parameter("limit", USERS_MAX));
        }
        self.database.user_create(&user).await.map_err(|error| change_problem(error, 1))?;
        self.reload().await?;
        Ok(user_public(&user))
    }

    /// A new password, and being disabled, end the user's sessions and tokens, but the one that asks: whoever knew the
    /// old password may have made some.
    pub async fn user_update(
        &self,
        id: UserId,
        request: UserUpdate,
        principal: &Principal,
    ) -> Result<User, Problem> {
        let password_hash = match &request.password {
            None => None,
            Some(password) => {
                let current = self.user_get(id)?.name;
                password::check(password, request.name.as_deref().unwrap_or(&current))?;
                Some(self.passwords.hash(password).await?)
            }
        };
        let _change = self.changing.lock().await;
        let configuration = self.configuration();
        let stored = configuration.users.iter().find(|user| user.id == id).ok_or_else(Problem::not_found)?;
        let mut user = UserRow { version: request.version, ..stored.clone() };
        if let Some(name) = &request.name {
            user.name = problem::name("name", name)?;
        }
        if let Some(role) = request.role {
            user.role = role_inner(role);
        }
        user.cameras = match (request.cameras, user.role) {
            (Some(cameras), role) => self.scope(role, cameras)?,
            (None, Role::Administrator) => CameraScope::All,
            (None, _) => user.cameras,
        };
        user.enabled = request.enabled.unwrap_or(user.enabled);
        let ends_access = password_hash.is_some() || !user.enabled;
        if let Some(hash) = password_hash {
            user.password_hash = hash;
        }
        self.database.user_update(&user).await.map_err(|error| change_problem(error, request.version))?;
        self.reload().await?;
        if ends_access {
            let own = match &principal.identity.credential {
                Credential::Session { id, .. } if user.enabled => Some(*id),
                _ => None,
            };
            self.sessions_end(id, own).await?;
        }
        if ends_access {
            let own = match &principal.identity.credential {
                Credential::Token { id } if user.enabled => Some(*id),
                _ => None,
            };
            self.tokens_end(id, own).await?;
        }
        self.user_get(id)
    }

    pub async fn user_delete(&self, id: UserId) -> Result<(), Problem> {
        let _change = self.changing.lock().await;
        self.database.user_delete(id).await.map_err(|error| change_problem(error, 0))?;
        self.reload().await?;
        self.sessions_end(id, None).await?;
        self.tokens_end(id, None).await
    }

    /// Administrators see every camera; others those named, which must exist.
    fn scope(&self, role: Role, cameras: UserCameras) -> Result<CameraScope, Problem> {
        match cameras {
            UserCameras::All(_) => Ok(CameraScope::All),
            UserCameras::Set(_) if role == Role::Administrator => {
                Err(Problem::invalid("cameras", "An administrator has all cameras."))
            }
            UserCameras::Set(cameras) => {
                let set: BTreeSet<_> = cameras.into_iter().collect();
                for &camera in &set {
                    self.camera_exists(camera)
                        .map_err(|_| Problem::invalid("cameras", format!("There is no camera {camera}.")))?;
                }
                Ok(CameraScope::Set(set))
            }
        }
    }
}
