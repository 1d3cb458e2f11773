//! Virtual boards as a worker meets them, and what can go wrong with them.

use futures::StreamExt as _;
use icefarm_core::{Board, BoardError, Bus, Face, ImageName, Serial};
use icefarm_sim::{Firmware, FirmwarePort, VirtualBoard, VirtualBus, VirtualHardware};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

/// Greets whoever opens the port and sends back what it receives, until it is told to crash.
#[derive(Default)]
struct Echo;

impl Firmware for Echo {
    async fn run(self, mut port: FirmwarePort, board: VirtualHardware) -> io::Result<()> {
        port.opened().await;
        port.write_all(format!("I am {}\n", board.serial()).as_bytes()).await?;
        loop {
            let byte = port.read_u8().await?;
            assert_ne!(byte, b'!', "as asked");
            port.write_u8(byte).await?;
        }
    }
}

icefarm_sim::firmware!("echo", Echo);

/// Says the same without end, whether anybody listens or not.
#[derive(Default)]
struct Chatter;

impl Firmware for Chatter {
    async fn run(self, mut port: FirmwarePort, _: VirtualHardware) -> io::Result<()> {
        loop {
            port.write_all(b"on and on\n").await?;
        }
    }
}

icefarm_sim::firmware!("chatter", Chatter);

fn board() -> VirtualBoard {
    let serial = Serial::new("example pico2ice serial id").unwrap();
    let bus = VirtualBus::builder().serial(serial.clone()).build().unwrap();
    bus.board(&serial).unwrap()
}

fn echo() -> ImageName {
    ImageName::new("echo").unwrap()
}

/// Waits, for at most a minute, until the board shows the face.
async fn shows(board: &VirtualBoard, face: impl Into<Option<Face>>) {
    let face = face.into();
    let mut presence = board.presence();
    let shown = presence.wait_for(|now| now.face == face);
    timeout(Duration::from_secs(60), shown).await.unwrap().unwrap();
}

async fn flash(board: &VirtualBoard, image: &str) {
    board.enter_bootloader().await.unwrap();
    shows(board, Face::Bootloader).await;
    board.write_image(&ImageName::new(image).unwrap()).await.unwrap();
    shows(board, if image == "default" { Face::Default } else { Face::Application }).await;
}

/// A board that runs the echo firmware, and its port after the greeting.
async fn echoing() -> (VirtualBoard, icefarm_core::SerialPort) {
    let board = board();
    shows(&board, Face::Default).await;
    flash(&board, "echo").await;
    let mut port = board.open().await.unwrap();
    let mut greeting = [0; 32];
    port.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"I am example pico2ice serial id\n");
    (board, port)
}

#[tokio::test(start_paused = true)]
async fn a_board_goes_through_its_faces() {
    let board = board();
    assert!(board.simulated());
    shows(&board, Face::Default).await;
    assert_eq!(board.presence().borrow().arrivals, 1);

    let error = board.write_image(&echo()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the board shows its default firmware; this needs its bootloader"
    );

    board.enter_bootloader().await.unwrap();
    shows(&board, None).await;
    shows(&board, Face::Bootloader).await;
    assert_eq!(board.presence().borrow().arrivals, 2);
    let error = board.open().await.map(drop).unwrap_err();
    assert!(matches!(error, BoardError::WrongFace { is: Face::Bootloader, .. }), "{error}");

    let started = Instant::now();
    let info = board.write_image(&echo()).await.unwrap();
    assert!(started.elapsed() > Duration::from_millis(500));
    assert_eq!(info.name, echo());
    assert_eq!(info.sha256.len(), 64);
    shows(&board, Face::Application).await;

    board.restart().await.unwrap();
    shows(&board, None).await;
    shows(&board, Face::Application).await;
    assert_eq!(board.presence().borrow().arrivals, 4);
    flash(&board, "default").await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_image_is_named_beside_the_known_ones() {
    let board = board();
    shows(&board, Face::Default).await;
    board.enter_bootloader().await.unwrap();
    shows(&board, Face::Bootloader).await;
    let error = board.write_image(&ImageName::new("blink").unwrap()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no firmware image `blink` is known to the virtual bus; known images: chatter, default, echo, \
         measure; an image for virtual boards is a model in a crate that is linked: those of \
         icefarm's own states come with their feature `sim`"
    );
}

#[tokio::test(start_paused = true)]
async fn a_firmware_that_never_waits_holds_nobody_up() {
    let board = board();
    shows(&board, Face::Default).await;
    flash(&board, "chatter").await;
    let mut port = board.open().await.unwrap();
    // What is read ahead, and more.
    let mut said = vec![0; 20_000];
    port.read_exact(&mut said).await.unwrap();
    assert!(said.windows(10).any(|line| line == b"on and on\n"));
    drop(port);
    flash(&board, "default").await;
}

#[tokio::test(start_paused = true)]
async fn the_default_firmware_prints_while_the_port_is_open() {
    let board = board();
    shows(&board, Face::Default).await;
    let mut port = board.open().await.unwrap();
    for _ in 0..1000 {
        let mut line = [0; 18];
        port.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"default firmware\r\n");
        // It takes what it is sent, and says nothing about it.
        port.write_all(b"hello").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_bus_shows_every_board_once_also_later_ones() {
    let bus = VirtualBus::builder().boards(3).build().unwrap();
    let mut boards = bus.boards();
    for _ in 0..3 {
        let board = boards.next().await.unwrap();
        assert_eq!(board.presence().borrow().face, Some(Face::Default));
    }
    let late = Serial::new("late").unwrap();
    bus.add(late.clone()).unwrap();
    assert_eq!(*boards.next().await.unwrap().serial(), late);
    assert!(bus.add(late).is_err());
    assert!(timeout(Duration::from_secs(60), boards.next()).await.is_err());
    drop(bus);
    assert!(boards.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_fast_board_is_faster() {
    let bus = VirtualBus::builder().boards(1).speed(100.0).build().unwrap();
    let started = Instant::now();
    let board = bus.boards().next().await.unwrap();
    assert_eq!(board.presence().borrow().face, Some(Face::Default));
    assert_eq!(started.elapsed(), Duration::from_millis(4));
}

#[tokio::test(start_paused = true)]
async fn unplugging_breaks_the_port_and_keeps_the_flash() {
    let (board, mut port) = echoing().await;
    board.unplug();
    shows(&board, None).await;
    assert_eq!(port.read_u8().await.unwrap_err().kind(), io::ErrorKind::NotConnected);
    assert!(port.write_u8(b'x').await.is_err());
    assert!(matches!(board.restart().await, Err(BoardError::Gone)));
    assert!(matches!(board.open().await, Err(BoardError::Gone)));

    board.plug();
    shows(&board, Face::Application).await;
    board.power_cycle().await.unwrap();
    shows(&board, None).await;
    shows(&board, Face::Application).await;
}

#[tokio::test(start_paused = true)]
async fn a_board_that_loses_power_while_it_is_written_comes_back_as_bootloader() {
    let board = board();
    shows(&board, Face::Default).await;
    board.enter_bootloader().await.unwrap();
    shows(&board, Face::Bootloader).await;
    let writing = tokio::spawn({
        let board = board.clone();
        async move { board.write_image(&echo()).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    board.unplug();
    assert!(matches!(writing.await.unwrap(), Err(BoardError::Gone)));
    board.plug();
    shows(&board, None).await;
    shows(&board, Face::Bootloader).await;
    board.write_image(&echo()).await.unwrap();
    shows(&board, Face::Application).await;
}

#[tokio::test(start_paused = true)]
async fn a_hung_board_is_silent_until_it_loses_power() {
    let (board, mut port) = echoing().await;
    board.hang();
    let lost = timeout(Duration::from_secs(10), async {
        port.write_all(&[b'x'; 2000]).await?;
        port.read_u8().await
    });
    assert!(lost.await.is_err(), "a hung board takes and says nothing");
    assert_eq!(board.presence().borrow().face, Some(Face::Application));
    for request in [board.restart(), board.enter_bootloader()] {
        assert!(matches!(request.await, Err(BoardError::Timeout { .. })));
    }
    board.power_cycle().await.unwrap();
    shows(&board, None).await;
    assert!(port.read_u8().await.is_err());
    shows(&board, Face::Application).await;
    board.open().await.unwrap().read_u8().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stalled_or_crashed_firmware() {
    let (board, mut port) = echoing().await;
    board.stall();
    port.write_all(b"x").await.unwrap();
    assert!(timeout(Duration::from_secs(10), port.read_u8()).await.is_err());
    board.restart().await.unwrap();
    shows(&board, None).await;
    shows(&board, Face::Application).await;
    let mut port = board.open().await.unwrap();
    assert_eq!(port.read_u8().await.unwrap(), b'I');

    // A model that panics takes down nothing but its board.
    port.write_all(b"!").await.unwrap();
    let silent = timeout(Duration::from_secs(10), port.read_to_end(&mut Vec::new())).await;
    assert!(silent.is_err());
    assert!(matches!(board.restart().await, Err(BoardError::Timeout { .. })));
}

#[tokio::test(start_paused = true)]
async fn garbage_is_over_with_the_next_start() {
    let (board, mut port) = echoing().await;
    board.garbage();
    shows(&board, Face::Application).await;
    port.write_all(b"2000").await.unwrap();
    let mut answer = [0; 4];
    port.read_exact(&mut answer).await.unwrap();
    assert!(answer.iter().all(|byte| !byte.is_ascii()), "{answer:?}");
    board.restart().await.unwrap();
    shows(&board, None).await;
    shows(&board, Face::Application).await;
    assert_eq!(board.open().await.unwrap().read_u8().await.unwrap(), b'I');
}

#[test]
fn a_board_outlives_the_runtime_that_drove_it() {
    let board = board();
    let run = |test: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(test);
    };
    let (first, second) = (board.clone(), board);
    run(Box::pin(async move {
        shows(&first, Face::Default).await;
        flash(&first, "echo").await;
    }));
    run(Box::pin(async move {
        let arrivals = second.presence().borrow().arrivals;
        shows(&second, None).await;
        shows(&second, Face::Application).await;
        assert_eq!(second.presence().borrow().arrivals, arrivals + 1);
    }));
}
