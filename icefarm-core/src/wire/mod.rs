//! What travels between control, workers and clients. Only these types are written to sockets;
//! what they mean is decided elsewhere.

mod code;
mod control;
mod frame;
mod status;
mod worker;

pub use code::{ErrorBody, ErrorCode, ErrorDetail};
pub use control::{
    BoardDetail, GrantedBoard, LeaseDetail, Named, NamedSerials, PythonRow, ReservationAnswer,
    ReserveRequest, Selection, Serials, V1_JSON, WorkerDetail,
};
pub use frame::{
    Ack, ClientFrame, Event, Hello, MAX_SERIALS, META_SERIAL, PROTOCOL, Position, ServerFrame,
    events,
};
pub use status::BoardStatus;
pub use worker::{
    BoardReport, BoardsReport, EndBoard, EndedLease, ExtendBoard, HeartbeatAnswer, LeasePhase,
    LeaseReport, OneBoard, Registration, RegistrationAnswer, ReserveBoard,
};
