//! The installation as a whole: made once, read whole.

use sqlx::Row;
use varde_ids::{InstallationId, ServerId, SiteId};
use varde_units::Utc;

use crate::column::{number, signed, text};
use crate::{CameraRows, Database, Error, StorageRow, UserRow};

/// Where we are: one server of one site of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRow {
    pub installation: InstallationId,
    pub site: SiteId,
    pub server: ServerId,
    pub name: String,
    pub revision: u64,
}

/// Everything that people configure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    pub server: ServerRow,
    pub storages: Vec<StorageRow>,
    /// Retired ones too.
    pub cameras: Vec<CameraRows>,
    pub users: Vec<UserRow>,
}

impl Database {
    /// Makes installation, site, server and the first storage; nothing where they are there.
    pub async fn installation_create(
        &self,
        server: &ServerRow,
        storage: &StorageRow,
        now: Utc,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let there: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM installation").fetch_one(&mut *transaction).await?;
        if there > 0 {
            return Ok(());
        }
        sqlx::query("INSERT INTO installation (id, name, created_at) VALUES ($1, $2, $3)")
            .bind(server.installation.to_string())
            .bind(&server.name)
            .bind(now.as_micros())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO site (id, installation_id, name) VALUES ($1, $2, $3)")
            .bind(server.site.to_string())
            .bind(server.installation.to_string())
            .bind(&server.name)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO server (id, site_id, name, revision) VALUES ($1, $2, $3, $4)")
            .bind(server.server.to_string())
            .bind(server.site.to_string())
            .bind(&server.name)
            .bind(signed(server.revision))
            .execute(&mut *transaction)
            .await?;
        crate::storage::insert(&mut transaction, server.server, storage).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// [`Error::NotFound`] before [`Database::installation_create`].
    pub async fn server_get(&self) -> Result<ServerRow, Error> {
        let row = sqlx::query(
            "SELECT site.installation_id, site.id AS site_id, server.id AS server_id, server.name, server.revision \
             FROM server JOIN site ON site.id = server.site_id ORDER BY server.id LIMIT 1",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(ServerRow {
            installation: text(&row, "installation_id")?,
            site: text(&row, "site_id")?,
            server: text(&row, "server_id")?,
            name: row.try_get("name")?,
            revision: number(&row, "revision")?,
        })
    }

    /// Raises the revision of the server's configuration to at least `floor` + 1 and gives it.
    pub async fn server_revision_raise(&self, server: ServerId, floor: u64) -> Result<u64, Error> {
        let row = sqlx::query(
            "UPDATE server SET revision = CASE WHEN revision > $2 THEN revision + 1 ELSE $2 + 1 END \
             WHERE id = $1 RETURNING revision",
        )
        .bind(server.to_string())
        .bind(signed(floor))
        .fetch_one(&self.pool)
        .await?;
        Ok(number(&row, "revision")?)
    }

    /// Reads everything as one moment saw it.
    pub async fn configuration_get(&self) -> Result<Configuration, Error> {
        Ok(Configuration {
            server: self.server_get().await?,
            storages: self.storage_list().await?,
            cameras: self.camera_list().await?,
            users: self.user_list().await?,
        })
    }
}
