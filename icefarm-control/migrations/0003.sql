-- Requests that wait for boards. Who has the lower number came first.
CREATE TABLE queue (
    arrival INTEGER PRIMARY KEY,
    reservation TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL,          -- the wire type ReserveRequest
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;

-- What operators call boards. It outlives the boards.
CREATE TABLE labels (
    serial TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (serial, key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX names ON labels (value) WHERE key = 'name';
