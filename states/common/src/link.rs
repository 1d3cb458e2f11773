//! The open port to a board that runs the firmware.

use crate::Instrument;
use crate::exchange::{Answer, Exchange, Fault, Step};
use crate::lines::{Line, Lines};
use futures::FutureExt as _;
use icefarm_core::SerialPort;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a circuit may be on its way: after so long the firmware gives up itself.
const TRANSFER: Duration = Duration::from_secs(2);

/// What configuring the FPGA (25 ms), the text and a busy host may take. Chosen.
const MARGIN: Duration = Duration::from_secs(2);

/// How long a board may be silent about a circuit.
pub(crate) const fn patience<I: Instrument>() -> Duration {
    I::MEASURING.saturating_add(TRANSFER).saturating_add(MARGIN)
}

/// How long a virtual board may go on telling that it is still at it. Chosen: a simulation has a
/// budget of about a minute, but may have to wait for those of many other boards.
const LONGEST: Duration = Duration::from_secs(3600);

/// A freshly opened port is quiet when nothing came for so long. Chosen: the firmware looks for an
/// opened port every 10 ms, and then writes its banner.
const QUIET: Duration = Duration::from_millis(100);

/// And it must be quiet after so long.
const SETTLING: Duration = Duration::from_secs(3);

/// More than this the firmware never has to say at a time, in bytes.
const BACKLOG: usize = 64 * 1024;

/// A port through which nothing is under way.
pub(crate) struct Link<I> {
    port: SerialPort,
    lines: Lines<I>,
    simulated: bool,
}

impl<I: Instrument> Link<I> {
    /// Reads what the board has to say to a newly opened port, and makes sure that it does not
    /// work on a circuit of somebody before us.
    pub(crate) async fn settle(
        port: SerialPort,
        simulated: bool,
        instrument: Arc<I>,
    ) -> Result<Self, Fault> {
        let mut link = Self { port, lines: Lines::new(instrument), simulated };
        let end = Instant::now() + SETTLING;
        let mut busy = false;
        let mut buffer = [0; 1024];
        while let Ok(read) = timeout(QUIET, link.port.read(&mut buffer)).await {
            for line in link.lines.push(some(&buffer, read?)?) {
                match line {
                    Line::Receiving | Line::Received | Line::FlashTimes | Line::Simulating => {
                        busy = true;
                    }
                    Line::Reading(_) | Line::Refused { .. } | Line::Watchdog { .. } => busy = false,
                    Line::Noise(what) => {
                        return Err(Fault::Garbled { what: format!("`{what}`") });
                    }
                    Line::Chatter | Line::Falsified(_) => {}
                }
            }
            if Instant::now() > end {
                let what = format!("text without end for {} s", SETTLING.as_secs());
                return Err(Fault::Garbled { what });
            }
        }
        if busy {
            let what = "news of a circuit that it was not given now".to_owned();
            return Err(Fault::Garbled { what });
        }
        Ok(link)
    }

    /// Has the board evaluate a circuit. After a fault the link must not be used again: what the
    /// board still has to say would be taken for the answer to the next circuit.
    pub(crate) async fn evaluate(&mut self, circuit: &[u8]) -> Result<Answer<I::Reading>, Fault> {
        self.drop_backlog()?;
        let (mut input, mut output) = tokio::io::split(&mut self.port);
        let mut write = std::pin::pin!(async {
            output.write_all(circuit).await?;
            output.flush().await
        });
        let mut exchange = Exchange::new(self.simulated);
        let begun = Instant::now();
        let mut deadline = begun + patience::<I>();
        let mut buffer = [0; 1024];
        loop {
            // Reading comes first: the circuit counts as sent only once everything was read that
            // the board had written by then.
            let next = async {
                tokio::select! {
                    biased;
                    read = input.read(&mut buffer) => Some(read).transpose(),
                    written = &mut write, if !exchange.is_sent() => written.map(|()| None),
                }
            };
            let Ok(next) = timeout_at(deadline, next).await else {
                return Err(Fault::NoAnswer { seconds: begun.elapsed().as_secs() });
            };
            let Some(read) = next? else {
                exchange.sent();
                continue;
            };
            for line in self.lines.push(some(&buffer, read)?) {
                match exchange.step(line)? {
                    Step::Done(answer) => return Ok(answer),
                    Step::Alive => {
                        deadline = (Instant::now() + patience::<I>()).min(begun + LONGEST);
                    }
                    Step::Wait => {}
                }
            }
        }
    }

    /// Throws away what has come since the last answer, for that belongs to no new circuit. A line
    /// that has begun stays one line.
    fn drop_backlog(&mut self) -> Result<(), Fault> {
        let mut buffer = [0; 1024];
        let mut dropped = 0;
        while let Some(read) = self.port.read(&mut buffer).now_or_never() {
            let bytes = some(&buffer, read?)?;
            dropped += bytes.len();
            if dropped > BACKLOG {
                return Err(Fault::Garbled { what: "text without end".to_owned() });
            }
            self.lines.push(bytes);
        }
        Ok(())
    }
}

/// The bytes that were read. A port that ends is a board that is gone.
fn some(buffer: &[u8], read: usize) -> io::Result<&[u8]> {
    if read == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "its serial port has ended"));
    }
    Ok(&buffer[..read])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::BITSTREAM_BYTES;
    use crate::toy::Counter;
    use tokio::io::{DuplexStream, duplex};

    type Link = super::Link<Counter>;

    fn reading(reading: u64) -> Result<Answer<u64>, Fault> {
        Ok(Answer::Reading { reading, falsified: None })
    }

    static CIRCUIT: [u8; BITSTREAM_BYTES] = [7; BITSTREAM_BYTES];

    /// As much of an answer as is needed.
    fn answer(pulses: u64) -> String {
        format!(
            "FPGA Flash times (us): init 1, start 2, open 3, write 4, close 5\r\n\
             , pulses: {pulses}\r\n"
        )
    }

    /// A link to what stands for a board, which is silent so far. Its buffer is a board's.
    async fn link() -> (Link, DuplexStream) {
        let (port, board) = duplex(512);
        (Link::settle(Box::new(port), false, Arc::new(Counter)).await.unwrap(), board)
    }

    /// What a newly opened port makes of these words of the board.
    async fn settle(words: &str) -> Result<Link, Fault> {
        let (port, mut board) = duplex(512);
        board.write_all(words.as_bytes()).await.unwrap();
        Link::settle(Box::new(port), false, Arc::new(Counter)).await
    }

    async fn take_circuit(board: &mut DuplexStream) {
        board.read_exact(&mut vec![0; BITSTREAM_BYTES]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_is_ready_when_the_board_waits() {
        settle("").await.unwrap();
        settle("USB Connected :)\r\nWaiting for bitstream transfer\r\n").await.unwrap();
        // An answer that nobody fetched is over and done with.
        settle(&answer(9)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_is_not_ready_while_the_board_works_for_somebody_else() {
        for words in ["Receiving bitstream\r\n", "Received bitstream in 7 us :)\r\n", "\x1b[0m\r\n"]
        {
            let fault = settle(words).await.map(drop).unwrap_err();
            assert_eq!(fault.code(), "board_garbled", "{words:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_that_never_falls_silent_is_not_ready() {
        let (port, mut board) = duplex(512);
        let talk = async {
            loop {
                board.write_all(b"default firmware\r\n").await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let fault = tokio::select! {
            settled = Link::settle(Box::new(port), false, Arc::new(Counter)) => settled.map(drop).unwrap_err(),
            () = talk => unreachable!("it talks without end"),
        };
        assert_eq!(fault.code(), "board_garbled");
    }

    /// Has a board that says `words` once it has the circuit evaluate one.
    async fn evaluate(
        link: &mut Link,
        board: &mut DuplexStream,
        words: &str,
    ) -> Result<Answer<u64>, Fault> {
        let say = async {
            take_circuit(board).await;
            board.write_all(words.as_bytes()).await.unwrap();
            std::future::pending().await
        };
        tokio::select! {
            taken = link.evaluate(&CIRCUIT) => taken,
            () = say => unreachable!("it waits for ever"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_before_a_circuit_is_not_its_answer() {
        let (mut link, mut board) = link().await;
        board.write_all(answer(9).as_bytes()).await.unwrap();
        let taken = evaluate(&mut link, &mut board, &answer(5)).await;
        assert_eq!(taken, reading(5));
    }

    #[tokio::test(start_paused = true)]
    async fn lines_stay_whole_from_one_circuit_to_the_next() {
        let (mut link, mut board) = link().await;
        let begun = answer(5) + "IDL";
        assert_eq!(evaluate(&mut link, &mut board, &begun).await, reading(5));
        board.write_all(b"E\r\n").await.unwrap();
        assert_eq!(evaluate(&mut link, &mut board, &answer(6)).await, reading(6));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_board_is_given_up_in_time() {
        let (mut link, mut board) = link().await;
        let begun = Instant::now();
        let taken = evaluate(&mut link, &mut board, "").await;
        assert_eq!(taken, Err(Fault::NoAnswer { seconds: 5 }));
        assert_eq!(begun.elapsed(), patience::<Counter>());
        // Nor does one that takes no bytes hold up anything.
        let (mut link, _board) = super::tests::link().await;
        assert_eq!(link.evaluate(&CIRCUIT).await, Err(Fault::NoAnswer { seconds: 5 }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_board_that_goes_is_lost() {
        let (mut link, board) = link().await;
        drop(board);
        assert_eq!(link.evaluate(&CIRCUIT).await.unwrap_err().code(), "board_lost");
    }
}
