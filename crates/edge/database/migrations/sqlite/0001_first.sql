-- Identifiers are UUIDs as text, times are microseconds since 1970 UTC, flags are 0 or 1, lists are JSON.
-- Every object that people edit carries a version that rises with each change.

CREATE TABLE installation (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE site (
    id TEXT PRIMARY KEY NOT NULL,
    installation_id TEXT NOT NULL REFERENCES installation (id),
    name TEXT NOT NULL
);

CREATE TABLE server (
    id TEXT PRIMARY KEY NOT NULL,
    site_id TEXT NOT NULL REFERENCES site (id),
    name TEXT NOT NULL,
    -- Revision of the newest configuration that was made for its recorder.
    revision BIGINT NOT NULL
);

CREATE TABLE storage (
    id TEXT PRIMARY KEY NOT NULL,
    server_id TEXT NOT NULL REFERENCES server (id),
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    size_max_bytes BIGINT,
    free_min_bytes BIGINT NOT NULL,
    retention_days BIGINT,
    encrypted BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (server_id, path)
);

CREATE TABLE hardware (
    id TEXT PRIMARY KEY NOT NULL,
    server_id TEXT NOT NULL REFERENCES server (id),
    name TEXT NOT NULL,
    driver TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    login TEXT,
    -- AES-256-GCM under a key that is not in this database; the identifier is the associated data.
    password_sealed BLOB,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE channel (
    id TEXT PRIMARY KEY NOT NULL,
    hardware_id TEXT NOT NULL REFERENCES hardware (id),
    -- camera, microphone, metadata
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    priority BIGINT NOT NULL,
    record BIGINT NOT NULL,
    retention_days BIGINT,
    storage_id TEXT NOT NULL REFERENCES storage (id),
    related_to TEXT REFERENCES channel (id),
    version BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE INDEX channel_by_hardware ON channel (hardware_id);

CREATE TABLE stream (
    id TEXT PRIMARY KEY NOT NULL,
    channel_id TEXT NOT NULL REFERENCES channel (id),
    -- Order within the channel; the main stream is 0.
    position BIGINT NOT NULL,
    url TEXT NOT NULL,
    transport TEXT NOT NULL,
    roles TEXT NOT NULL,
    UNIQUE (channel_id, position)
);

CREATE TABLE user_account (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    -- The name as it is compared: lower case.
    name_key TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    -- 1: all cameras, also later ones; 0: those of user_camera.
    cameras_all BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE user_camera (
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    channel_id TEXT NOT NULL REFERENCES channel (id),
    PRIMARY KEY (user_id, channel_id)
);

CREATE TABLE session (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    -- SHA-256 of the secret; the secret itself is the browser's alone.
    secret_hash TEXT NOT NULL UNIQUE,
    csrf TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);

CREATE INDEX session_by_user ON session (user_id);

CREATE TABLE api_token (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE INDEX api_token_by_user ON api_token (user_id);

CREATE TABLE event (
    id TEXT PRIMARY KEY NOT NULL,
    type TEXT NOT NULL,
    time BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    origin TEXT NOT NULL,
    origin_sequence BIGINT NOT NULL,
    phase TEXT NOT NULL,
    correlation TEXT,
    severity TEXT NOT NULL,
    channel_id TEXT,
    storage_id TEXT,
    data TEXT NOT NULL,
    UNIQUE (origin, origin_sequence)
);

CREATE INDEX event_by_time ON event (time, id);
CREATE INDEX event_by_channel ON event (channel_id, time, id);

CREATE TABLE setting (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
