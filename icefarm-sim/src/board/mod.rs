//! Virtual pico2-ice boards on a virtual bus.

mod bus;
mod life;
mod pace;
mod throttle;
mod virtual_board;
mod wire;

pub use bus::{SimError, VirtualBus, VirtualBusBuilder};
pub(crate) use pace::Pace;
pub use virtual_board::VirtualBoard;
pub use wire::FirmwarePort;
