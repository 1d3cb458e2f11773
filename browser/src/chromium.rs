//! Chromium and the program that drives it, as processes that end with their owner.

use crate::page::Page;
use crate::{PATIENCE, Result};
use icefarm_net::{Endpoint, HttpClient, RequestOptions};
use serde_json::{Value as Json, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// What Chromium is started with. The sandbox does not work for root, as whom CI runs; all pages
/// that are opened here are our own. The rest keeps Chromium from talking to anybody else.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// How long the processes have to end by themselves.
const FAREWELL: Duration = Duration::from_secs(10);

/// A browser of its own, with nothing in it. Dropping it ends it.
#[derive(Debug)]
pub struct Chromium {
    driver: Child,
    address: SocketAddr,
    page: Page,
    /// Where the browser keeps what it remembers; it is used for the last time when it ends.
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// Starts a browser with an empty page.
    ///
    /// # Errors
    /// If Chromium or its driver is missing, which names their packages, or does not start.
    pub async fn start() -> Result<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                format!(
                    "chromedriver cannot be started: {error}. On Debian:\n    apt-get install \
                     chromium chromium-driver fonts-dejavu-core"
                )
            })?;
        let stdout = driver.stdout.take().ok_or("chromedriver has no output")?;
        let port = timeout(PATIENCE, port(stdout)).await??;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let profile = tempfile::tempdir()?;
        let page = open(address, &profile.path().display().to_string()).await;
        let (page, failure) = match page {
            Ok(page) => (page, None),
            Err(error) => (Page::nowhere(address.into()), Some(error)),
        };
        // What was started is ended by dropping it, also when there is no session.
        let browser = Self { driver, address, page, _profile: profile };
        failure.map_or(Ok(browser), Err)
    }

    /// Its page.
    #[must_use]
    pub fn page(&self) -> &Page {
        &self.page
    }

    /// Asks the driver to end the browser and itself.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(FAREWELL))?;
        stream
            .write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // A driver that does not answer is killed when its process is dropped.
        if self.shut_down().is_err() {
            return;
        }
        let start = Instant::now();
        while matches!(self.driver.try_wait(), Ok(None)) && start.elapsed() < FAREWELL {
            std::thread::sleep(crate::PAUSE);
        }
    }
}

/// The port on which the driver says that it listens. The rest of what it says is read, too: it
/// would stand still if nobody did.
async fn port(stdout: tokio::process::ChildStdout) -> Result<u16> {
    let mut lines = BufReader::new(stdout).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            let port = port.trim_end_matches('.').parse()?;
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(port);
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(format!("chromedriver ended without naming its port:\n{said}").into())
}

async fn open(address: SocketAddr, profile: &str) -> Result<Page> {
    let mut flags: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
    flags.push(format!("--user-data-dir={profile}"));
    let wanted = json!({"capabilities": {"alwaysMatch": {
        "goog:chromeOptions": {"args": flags},
        "goog:loggingPrefs": {"browser": "ALL"},
    }}});
    let endpoint = Endpoint::from(address);
    let http = HttpClient::default();
    let options = RequestOptions::default().timeout(PATIENCE);
    let answer: Json = http.post_json(&endpoint, "/session", &wanted, &options).await?;
    let session = answer["value"]["sessionId"].as_str().ok_or("chromedriver gave no session")?;
    Ok(Page::new(http, endpoint, session))
}
