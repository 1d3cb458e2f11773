//! The line that says that a farm can be used, and how.

use icefarm_core::wire::FarmStatus;
use icefarm_net::{HttpClient, RequestOptions};
use std::io::Write;
use std::time::Duration;

/// How often the farm is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// Says on stdout when all boards can be reserved.
pub(super) async fn tell(url: &str, boards: u32) {
    let Ok(endpoint) = url.parse() else { return };
    let (http, options) = (HttpClient::default(), RequestOptions::default());
    loop {
        let status = http.get_json::<FarmStatus>(&endpoint, "/v1/status", &options).await;
        // Boards that fail never become ready: the rest can be used all the same.
        let settled = |boards: u32, status: &FarmStatus| {
            let of = status.boards;
            of.total >= boards && of.preparing == 0
        };
        match status {
            Ok(status) if settled(boards, &status) => {
                let of = status.boards;
                let mut out = std::io::stdout().lock();
                let ready = of.available + of.reserved;
                // Whoever closed our stdout does not want to know.
                let _ = writeln!(
                    out,
                    "ready: {ready} virtual boards. Next, in another terminal: \
                     icefarm evaluate FILES.bin{}   (panel: {url}, end: Ctrl-C)",
                    control_flag(url),
                )
                .and_then(|()| out.flush());
                return;
            }
            // Control may be starting, or refuse us because it listens under another name.
            Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// What commands must be told to find this farm.
fn control_flag(url: &str) -> String {
    if url == "http://127.0.0.1:8080" { String::new() } else { format!(" --control {url}") }
}
