-- What happened, the newest rows only. Numbers rise by one and are not used twice.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    what TEXT NOT NULL,             -- a word of the wire type Happening
    text TEXT NOT NULL,
    warning INTEGER NOT NULL CHECK (warning IN (0, 1)),
    serial TEXT,
    status TEXT,                    -- where the board stands since then
    worker TEXT,
    lease INTEGER,
    client TEXT
) STRICT;

-- Where each board stands, and since when. Rows of the journal go sooner than this is out of date.
CREATE TABLE standing (
    serial TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT;
