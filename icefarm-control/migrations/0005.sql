-- A worker that was stopped in good order, and is not lost.
ALTER TABLE workers ADD COLUMN has_left INTEGER NOT NULL DEFAULT 0 CHECK (has_left IN (0, 1));

-- What operators have taken out of service. Neither worker nor board need be there.
CREATE TABLE drained_workers (name TEXT PRIMARY KEY) STRICT;
CREATE TABLE drained_boards (serial TEXT PRIMARY KEY) STRICT;
