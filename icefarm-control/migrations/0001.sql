-- Times are milliseconds since 1970 in UTC. Columns named after wire types hold their JSON.

CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    epoch TEXT NOT NULL,            -- the name of all event streams of this database
    next_lease INTEGER NOT NULL     -- above every lease that was given or reported
) STRICT;
INSERT INTO meta VALUES (1, lower(hex(randomblob(16))), 1);

CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    version TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    former TEXT,                    -- the incarnation before, which must not come back
    secret TEXT NOT NULL,           -- what control shows the worker; it must be sent, so it is plain
    kinds TEXT NOT NULL,
    plugins TEXT NOT NULL,
    seen INTEGER NOT NULL,
    lost INTEGER NOT NULL CHECK (lost IN (0, 1))
) STRICT;

CREATE TABLE boards (
    serial TEXT PRIMARY KEY,
    worker TEXT NOT NULL REFERENCES workers (name),
    report TEXT NOT NULL
) STRICT;
CREATE INDEX boards_of_worker ON boards (worker);

CREATE TABLE leases (
    id INTEGER PRIMARY KEY,         -- the fencing token
    revision INTEGER NOT NULL,
    serial TEXT NOT NULL UNIQUE REFERENCES boards (serial),
    client TEXT NOT NULL,
    instance TEXT,
    kind TEXT NOT NULL,
    args TEXT NOT NULL,
    reservation TEXT NOT NULL,
    granted INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    ttl_ms INTEGER NOT NULL,
    renewed_by_socket INTEGER NOT NULL CHECK (renewed_by_socket IN (0, 1)),
    warned INTEGER NOT NULL CHECK (warned IN (0, 1))
) STRICT;

-- The last lease that was given for each board. It outlives lease and board.
CREATE TABLE given (
    serial TEXT PRIMARY KEY,
    lease INTEGER NOT NULL,
    kind TEXT NOT NULL
) STRICT;

CREATE TABLE requests (
    client TEXT NOT NULL,
    request TEXT NOT NULL,
    answered TEXT NOT NULL,
    PRIMARY KEY (client, request)
) STRICT, WITHOUT ROWID;

-- The last number of each client's event stream. It outlives the events.
CREATE TABLE streams (
    client TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    dropped INTEGER NOT NULL,       -- the last event that was given up although somebody may want it
    used INTEGER NOT NULL
) STRICT;

-- Events that not every subscriber has acknowledged.
CREATE TABLE events (
    client TEXT NOT NULL REFERENCES streams (client),
    seq INTEGER NOT NULL,
    serial TEXT NOT NULL,
    contents TEXT NOT NULL,
    PRIMARY KEY (client, seq)
) STRICT, WITHOUT ROWID;
