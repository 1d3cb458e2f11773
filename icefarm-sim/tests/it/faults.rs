//! Faults by plan, as somebody sees them who uses the board.

use icefarm_core::blocking::Inline;
use icefarm_core::{Board, BoardError, Face, ImageName, Serial};
use icefarm_sim::fpga::Window;
use icefarm_sim::{
    BoardChoice, Effect, Fault, FaultPlan, Firmware, FirmwarePort, SimError, Trigger, VirtualBoard,
    VirtualBus, VirtualHardware,
};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

/// For each byte that it receives it measures one circuit, and tells the count as a line.
#[derive(Default)]
struct Measure;

impl Firmware for Measure {
    async fn run(self, mut port: FirmwarePort, board: VirtualHardware) -> io::Result<()> {
        loop {
            port.read_u8().await?;
            let circuits = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/circuits");
            board.configure(std::fs::read(format!("{circuits}/pulses_1000.bin"))?);
            let count = board.count_pulses(Window::SECOND).await.map_err(io::Error::other)?;
            let falsified = board.falsified().unwrap_or_default();
            port.write_all(format!("{}{falsified}\n", count.pulses).as_bytes()).await?;
        }
    }
}

icefarm_sim::firmware!("measure", Measure);

const SHORT: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(60);

/// The only board of a bus on which this goes wrong.
fn faulty(fault: Fault) -> VirtualBoard {
    let plan = FaultPlan::new(7).with(fault).unwrap();
    let bus = VirtualBus::builder().boards(1).faults(plan).blocking(Arc::new(Inline));
    bus.build().unwrap().all().remove(0)
}

fn image(name: &str) -> ImageName {
    ImageName::new(name).unwrap()
}

fn pulled() -> Effect {
    Effect::Unplug { lasts: Some(SHORT) }
}

async fn shows(board: &VirtualBoard, face: impl Into<Option<Face>>) {
    let face = face.into();
    let mut presence = board.presence();
    timeout(LONG, presence.wait_for(|now| now.face == face)).await.unwrap().unwrap();
}

async fn bootloader(board: &VirtualBoard) {
    shows(board, Face::Default).await;
    board.enter_bootloader().await.unwrap();
    shows(board, Face::Bootloader).await;
}

/// The board runs the firmware that measures.
async fn measuring(fault: Fault) -> VirtualBoard {
    let board = faulty(fault);
    bootloader(&board).await;
    board.write_image(&image("measure")).await.unwrap();
    shows(&board, Face::Application).await;
    board
}

/// What the firmware says when it is asked to measure, if it says anything.
async fn measure(board: &VirtualBoard) -> io::Result<String> {
    let mut port = board.open().await.unwrap();
    port.write_all(b"x").await?;
    let mut line = Vec::new();
    loop {
        let byte = timeout(Duration::from_secs(10), port.read_u8()).await??;
        if byte == b'\n' {
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
        line.push(byte);
    }
}

#[tokio::test(start_paused = true)]
async fn a_board_is_pulled_at_any_step_and_comes_back() {
    // Before it is ever seen.
    let begun = Instant::now();
    let board = faulty(Fault::new(pulled(), Trigger::Power).times(1));
    shows(&board, Face::Default).await;
    assert_eq!(begun.elapsed(), SHORT + Duration::from_millis(400));

    // As bootloader, from which it comes back as what it was.
    let soon = Duration::from_millis(50);
    let board = faulty(Fault::new(pulled(), Trigger::Bootloader).times(1).delay(soon));
    bootloader(&board).await;
    shows(&board, None).await;
    shows(&board, Face::Default).await;

    // While its flash is written, which then holds nothing.
    let board = faulty(Fault::new(pulled(), Trigger::Flash { percent: 50 }).times(1));
    bootloader(&board).await;
    let begun = Instant::now();
    assert!(matches!(board.write_image(&image("measure")).await, Err(BoardError::Gone)));
    assert_eq!(begun.elapsed(), Duration::from_millis(450));
    shows(&board, Face::Bootloader).await;
    board.write_image(&image("measure")).await.unwrap();
    shows(&board, Face::Application).await;

    // When a firmware starts, during a measurement, and right before the answer.
    for (trigger, delay) in [
        (Trigger::Transfer { bytes: 1 }, 0),
        (Trigger::Circuit, 0),
        (Trigger::Circuit, 500),
        (Trigger::Answer, 0),
    ] {
        let fault = Fault::new(pulled(), trigger).times(1).delay(Duration::from_millis(delay));
        let board = measuring(fault).await;
        let error = measure(&board).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected, "{trigger} {delay}");
        shows(&board, Face::Application).await;
        assert_eq!(measure(&board).await.unwrap(), "1000", "{trigger} {delay}");
    }
    let fault = Fault::new(pulled(), Trigger::Start).firmware(image("measure"));
    let fault = fault.times(1).delay(soon);
    let board = measuring(fault).await;
    shows(&board, None).await;
    shows(&board, Face::Application).await;
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_pulled_for_good_stays_away() {
    let board = faulty(Fault::new(Effect::Unplug { lasts: None }, Trigger::Start).delay(SHORT));
    shows(&board, Face::Default).await;
    shows(&board, None).await;
    let mut presence = board.presence();
    let back = presence.wait_for(|now| now.face.is_some());
    assert!(timeout(24 * 60 * LONG, back).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_board_that_comes_and_goes() {
    let every = Some(Duration::from_secs(10));
    let first = Duration::from_secs(5);
    let board = faulty(Fault::new(pulled(), Trigger::Time { first, every }).times(3));
    let begun = Instant::now();
    for (gone, back) in [(5, 8), (15, 18), (25, 28)] {
        shows(&board, Face::Default).await;
        shows(&board, None).await;
        assert_eq!(begun.elapsed().as_secs(), gone);
        shows(&board, Face::Default).await;
        assert_eq!(begun.elapsed().as_secs(), back);
    }
    let mut presence = board.presence();
    assert!(timeout(LONG, presence.wait_for(|now| now.face.is_none())).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_hung_board_says_by_which_fault() {
    let board = measuring(Fault::new(Effect::Hang, Trigger::Circuit).times(1)).await;
    assert_eq!(measure(&board).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    let error = board.restart().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the board did not take the request to restart because of fault 1 (hang) within 1 s"
    );
    board.power_cycle().await.unwrap();
    shows(&board, None).await;
    shows(&board, Face::Application).await;
    assert_eq!(measure(&board).await.unwrap(), "1000");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_or_garbling_firmware_is_sound_after_a_restart() {
    let stalled = measuring(Fault::new(Effect::Stall, Trigger::Circuit).times(1)).await;
    assert_eq!(measure(&stalled).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    let garbling = measuring(Fault::new(Effect::GARBAGE, Trigger::Answer).times(1)).await;
    assert_eq!(measure(&garbling).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    for board in [stalled, garbling] {
        board.restart().await.unwrap();
        shows(&board, None).await;
        shows(&board, Face::Application).await;
        assert_eq!(measure(&board).await.unwrap(), "1000");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_carries_what_it_can_each_way() {
    let slow = |lasts| Effect::SlowLink { bytes_per_second: 1000, lasts };
    let board = faulty(Fault::new(slow(None), Trigger::Start));
    shows(&board, Face::Default).await;
    let mut port = board.open().await.unwrap();
    let begun = Instant::now();
    port.read_exact(&mut [0; 5000]).await.unwrap();
    assert!((4900..5100).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    let begun = Instant::now();
    // Nobody reads what a firmware receives while it waits for somebody to read what it writes.
    let (mut input, mut output) = tokio::io::split(port);
    let mut sink = tokio::io::sink();
    tokio::select! {
        written = output.write_all(&[0; 5000]) => written.unwrap(),
        end = tokio::io::copy(&mut input, &mut sink) => panic!("the port has ended: {end:?}"),
    }
    assert!((4900..5100).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());

    let board = faulty(Fault::new(slow(Some(SHORT)), Trigger::Start));
    shows(&board, Face::Default).await;
    tokio::time::sleep(SHORT).await;
    let begun = Instant::now();
    let mut port = board.open().await.unwrap();
    port.read_exact(&mut [0; 2000]).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_flash_that_refuses_keeps_what_it_holds_and_one_that_corrupts_does_not() {
    let board = faulty(Fault::refuse_image());
    bootloader(&board).await;
    let error = board.write_image(&image("measure")).await.unwrap_err();
    let io = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(io, "the flash does not take the image: fault 1 (refuse-image)");
    board.restart().await.unwrap();
    shows(&board, Face::Default).await;

    let board = faulty(Fault::corrupt_image().firmware(image("measure")).times(1));
    bootloader(&board).await;
    let error = board.write_image(&image("measure")).await.unwrap_err();
    let io = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(io, "what was written to the flash reads back wrong: fault 1 (corrupt-image)");
    board.restart().await.unwrap();
    shows(&board, None).await;
    shows(&board, Face::Bootloader).await;
    board.write_image(&image("measure")).await.unwrap();
    shows(&board, Face::Application).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_is_marked_and_the_next_one_is_right() {
    for (off_by, answer) in [(5, "1005"), (-5, "995"), (-5000, "6000"), (i64::MIN, "")] {
        let board = measuring(Fault::wrong_answer(off_by).after(1).times(1)).await;
        assert_eq!(measure(&board).await.unwrap(), "1000");
        let marked = format!("{answer}fault 1 (wrong-answer, off by {off_by})");
        assert!(measure(&board).await.unwrap().ends_with(&marked));
        assert_eq!(measure(&board).await.unwrap(), "1000");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_chosen_boards_are_harmed() {
    let named = Serial::new("example pico2ice serial id").unwrap();
    let gone = Effect::Unplug { lasts: None };
    let fault = |choice| Fault::new(gone, Trigger::Power).on([choice]);
    let plan = FaultPlan::new(0).with(fault(BoardChoice::Index(1))).unwrap();
    let plan = plan.with(fault(BoardChoice::Serial(named.clone()))).unwrap();
    let bus = VirtualBus::builder().boards(2).serial(named).faults(plan).build().unwrap();
    let boards = bus.all();
    boards.iter().for_each(|board| drop(board.presence()));
    tokio::time::sleep(LONG).await;
    let there = |board: &VirtualBoard| board.presence().borrow().face.is_some();
    assert_eq!(boards.iter().map(there).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn a_plan_for_boards_that_are_not_there_is_refused() {
    let hang = Fault::new(Effect::Hang, Trigger::Start);
    let plan = FaultPlan::new(0).with(hang.on([BoardChoice::Index(3)])).unwrap();
    let error = VirtualBus::builder().boards(3).faults(plan).build().unwrap_err();
    assert!(matches!(error, SimError::Fault { number: 1, .. }));
    assert_eq!(
        error.to_string(),
        "fault 1 of the boards: there is no board 3: the bus has 3 boards, numbered from 0"
    );
}

/// A script survives the runtime, and so does its count.
#[test]
fn a_script_outlives_the_runtime_that_drove_the_board() {
    let board = faulty(Fault::new(pulled(), Trigger::Power).times(1));
    for seconds in [3, 0] {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        let board = board.clone();
        runtime.block_on(async move {
            let begun = Instant::now();
            shows(&board, None).await;
            shows(&board, Face::Default).await;
            assert_eq!(begun.elapsed().as_secs(), seconds);
        });
    }
}
