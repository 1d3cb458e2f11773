//! Boards that do as they are told, or what the script of a test says.

use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use icefarm_core::board::Presence;
use icefarm_core::{Board, BoardError, Bus, Face, ImageInfo, ImageName, Serial, SerialPort};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// How a board misbehaves. Counts go down with each time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// So many requests for the bootloader are ignored.
    pub(crate) ignore_bootloader: u32,
    /// So many images are refused.
    pub(crate) refuse_write: u32,
    /// The default firmware prints nothing until the power is cut.
    pub(crate) mute: bool,
    /// The bus can switch power.
    pub(crate) power: bool,
    /// It takes hundredths of the time, for tests on real time.
    pub(crate) fast: bool,
    /// Restarts are never answered by coming back.
    pub(crate) stay_away: bool,
    /// Images are never written to the end until the power is cut.
    pub(crate) hang_write: bool,
    /// An application says nothing.
    pub(crate) deaf: bool,
}

pub(crate) struct FakeBoard {
    serial: Serial,
    presence: watch::Sender<Presence>,
    script: Arc<Mutex<Script>>,
    image: Mutex<String>,
    /// What was done to it, in order.
    log: Mutex<Vec<String>>,
    me: std::sync::Weak<FakeBoard>,
}

impl FakeBoard {
    pub(crate) fn new(serial: &str) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            serial: Serial::new(serial).unwrap(),
            presence: watch::Sender::new(Presence { face: Some(Face::Application), arrivals: 1 }),
            script: Arc::default(),
            image: Mutex::new("unknown".to_owned()),
            log: Mutex::default(),
            me: me.clone(),
        })
    }

    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    /// What was done to the board since this was last asked.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    pub(crate) fn image(&self) -> String {
        self.image.lock().unwrap().clone()
    }

    pub(crate) fn unplug(&self) {
        self.presence.send_modify(|presence| presence.face = None);
    }

    pub(crate) fn plug(&self) {
        let face = if self.image() == "default" { Face::Default } else { Face::Application };
        self.appear(face);
    }

    fn appear(&self, face: Face) {
        self.presence.send_modify(|presence| {
            *presence = Presence { face: Some(face), arrivals: presence.arrivals + 1 };
        });
    }

    fn time(&self, ms: u64) -> Duration {
        let fast = self.script.lock().unwrap().fast;
        Duration::from_millis(if fast { ms.div_ceil(100) } else { ms })
    }

    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    /// Leaves the bus and comes back, as hardware does, whether anybody waits for it or not.
    fn re_enumerate(&self, face: Option<Face>) {
        let board = self.me.upgrade().unwrap();
        self.unplug();
        tokio::spawn(async move {
            sleep(board.time(300)).await;
            match face {
                Some(face) => board.appear(face),
                None => board.plug(),
            }
        });
    }

    fn face(&self, refused: fn(Face) -> bool, wanted: Face) -> Result<(), BoardError> {
        match self.presence.borrow().face {
            None => Err(BoardError::Gone),
            Some(is) if refused(is) => Err(BoardError::WrongFace { wanted, is }),
            Some(_) => Ok(()),
        }
    }
}

fn counted(count: &mut u32) -> bool {
    let due = *count > 0;
    *count -= u32::from(due);
    due
}

impl Board for FakeBoard {
    fn serial(&self) -> &Serial {
        &self.serial
    }

    fn simulated(&self) -> bool {
        true
    }

    fn presence(&self) -> watch::Receiver<Presence> {
        self.presence.subscribe()
    }

    fn enter_bootloader(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async {
            self.face(|face| face == Face::Bootloader, Face::Application)?;
            self.note("bootloader");
            if !counted(&mut self.script.lock().unwrap().ignore_bootloader) {
                self.re_enumerate(Some(Face::Bootloader));
            }
            Ok(())
        })
    }

    fn write_image<'a>(
        &'a self,
        image: &'a ImageName,
    ) -> BoxFuture<'a, Result<ImageInfo, BoardError>> {
        Box::pin(async move {
            self.face(|face| face != Face::Bootloader, Face::Bootloader)?;
            self.note(format!("write {image}"));
            sleep(self.time(1000)).await;
            if self.script.lock().unwrap().hang_write {
                std::future::pending::<()>().await;
            }
            if counted(&mut self.script.lock().unwrap().refuse_write) {
                return Err(std::io::Error::other("as the script says").into());
            }
            *self.image.lock().unwrap() = image.to_string();
            self.re_enumerate(None);
            Ok(ImageInfo { name: image.clone(), sha256: "0".repeat(64) })
        })
    }

    fn restart(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async {
            self.note("restart");
            if self.script.lock().unwrap().stay_away {
                self.unplug();
            } else {
                self.re_enumerate(None);
            }
            Ok(())
        })
    }

    fn open(&self) -> BoxFuture<'_, Result<SerialPort, BoardError>> {
        Box::pin(async {
            self.face(|face| face == Face::Bootloader, Face::Application)?;
            self.note("open");
            let (ours, mut theirs) = tokio::io::duplex(1 << 12);
            let (image, script, pause) = (self.image(), self.script.clone(), self.time(100));
            tokio::spawn(async move {
                if image == "default" {
                    while script.lock().unwrap().mute
                        || theirs.write_all(b"default firmware\r\n").await.is_ok()
                    {
                        sleep(pause).await;
                    }
                } else {
                    // An application that says everything twice.
                    let mut bytes = [0; 64];
                    while let Ok(read @ 1..) = theirs.read(&mut bytes).await {
                        if script.lock().unwrap().deaf {
                            continue;
                        }
                        let twice = [&bytes[..read], &bytes[..read]].concat();
                        if theirs.write_all(&twice).await.is_err() {
                            break;
                        }
                    }
                }
            });
            Ok(Box::new(ours) as SerialPort)
        })
    }

    fn power_cycle(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async {
            if !self.script.lock().unwrap().power {
                return Err(BoardError::Unsupported { what: "switching the power of a board" });
            }
            self.note("power");
            self.script(|script| (script.mute, script.hang_write) = (false, false));
            self.re_enumerate(None);
            Ok(())
        })
    }
}

/// Boards can be added at any time.
pub(crate) struct FakeBus {
    sender: mpsc::UnboundedSender<Arc<dyn Board>>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Arc<dyn Board>>>>,
}

impl FakeBus {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }

    pub(crate) fn add(&self, board: Arc<FakeBoard>) {
        self.sender.send(board).unwrap();
    }
}

impl Bus for FakeBus {
    fn name(&self) -> &str {
        "fake"
    }

    fn boards(&self) -> BoxStream<'static, Arc<dyn Board>> {
        let mut receiver = self.receiver.lock().unwrap().take().unwrap();
        futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)).boxed()
    }
}
