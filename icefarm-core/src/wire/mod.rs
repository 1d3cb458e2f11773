//! What travels between control, workers and clients. Only these types are written to sockets;
//! what they mean is decided elsewhere.

mod access;
mod code;
mod control;
mod details;
mod frame;
mod journal;
mod live;
mod queue;
mod status;
mod worker;

pub use access::{
    AskTickets, AuditEntry, AuditPage, CreateToken, CreatedToken, HeartbeatNews, NamePattern,
    PatternError, Role, RoleError, SECRET_HEADER, TicketedReservation, Tickets, TokenDetail,
    WhoAmI,
};
pub use code::{ErrorBody, ErrorCode, ErrorDetail};
pub use control::{
    GrantedBoard, Named, NamedSerials, PythonRow, ReservationAnswer, ReserveRequest, Selection,
    Serials, V1_JSON,
};
pub use details::{
    BoardActionAnswer, BoardCounts, BoardDetail, BoardInFull, DrainAnswer, FarmStatus, LastLease,
    LeaseDetail, WorkerContact, WorkerCounts, WorkerDetail,
};
pub use frame::{
    Ack, ClientFrame, Event, Hello, MAX_SERIALS, META_SERIAL, OneOrEach, PROTOCOL, Position,
    ServerFrame, events,
};
pub use journal::{Happening, JournalEntry, JournalPage};
pub use live::{LiveChange, LiveMessage, LiveSnapshot};
pub use queue::{
    BoardLabels, CancelAnswer, CancelRequest, ClientEnded, LabelRequest, QueueEntry, QueuePosition,
    QueuePositions, Queued, QueuedAnswer, ReserveAnswer,
};
pub use status::BoardStatus;
pub use worker::{
    BoardReport, BoardsReport, EndBoard, EndedLease, ExtendBoard, HeartbeatAnswer, LeasePhase,
    LeaseReport, OneBoard, Registration, RegistrationAnswer, ReserveBoard,
};
