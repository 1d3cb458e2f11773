-- Access tokens. Of a token itself only the SHA-256 is kept.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    role TEXT NOT NULL,
    names TEXT NOT NULL,            -- patterns, as JSON
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER
) STRICT;

-- Who did what, the newest rows only. Numbers rise by one.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    client TEXT,
    serials TEXT NOT NULL,          -- as JSON
    entry TEXT NOT NULL             -- all of it, as JSON
) STRICT;
