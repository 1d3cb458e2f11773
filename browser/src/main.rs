//! `cargo xtask screenshots [DIR]`: pictures of the panel, wide and narrow, light and dark.

#![allow(clippy::print_stdout, reason = "it tells where the pictures are")]

use icefarm_browser::{Chromium, Farm, Page, Result};
use icefarm_client::{Circuit, Client, Evaluator, Placement, ReserveOptions};
use icefarm_sim::{BoardChoice, Fault, FaultPlan, VirtualBus};
use icefarm_state_pulse_count::{PulseCount, PulseCountArgs};
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio::task::JoinHandle;

/// The widths of the pictures in CSS pixels: a laptop, a phone.
const SIZES: [(&str, u32, u32); 2] = [("wide", 1280, 900), ("narrow", 390, 844)];
const THEMES: [&str; 2] = ["light", "dark"];

#[tokio::main]
async fn main() -> Result {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/screenshots".to_owned());
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder)?;
    let farm = Farm::start().await?;
    let browser = Chromium::start().await?;
    let studio = Studio { page: browser.page(), folder: &folder };

    studio.open(&farm).await?;
    studio.take("empty").await?;

    let boards = VirtualBus::builder().seed("bench").boards(4).speed(20.0);
    let bench = farm.worker("bench", boards).await?;
    farm.until_available(4).await?;
    studio.page.until("document.querySelectorAll('#boards tbody tr').length === 4").await?;
    studio.take("rest").await?;

    let evaluation = evaluate(&farm).await?;
    let measures = "[...document.querySelectorAll('#boards td.standing')]
        .filter(cell => cell.innerText.includes('Reserved')).length === 2";
    studio.page.until(measures).await?;
    let wanted = json!({"name": "nightly-3", "amount": 3, "kind": "variance", "wait_s": 3600,
        "request": "00000000-0000-4000-8000-000000000001"});
    farm.post("/reserve", wanted).await?;
    studio.page.until("document.querySelector('#waiting').checkVisibility()").await?;
    studio.take("evaluation").await?;

    let dead = Fault::corrupt_image().on([BoardChoice::Index(1)]);
    let boards = VirtualBus::builder()
        .seed("attic")
        .boards(2)
        .speed(50.0)
        .faults(FaultPlan::new(0).with(dead)?);
    let attic = farm.worker("attic", boards).await?;
    farm.until("broken", 1).await?;
    let broken = "document.querySelectorAll('#boards tr[data-group=broken]').length === 1";
    studio.page.until(broken).await?;
    studio.take("broken").await?;

    studio.page.click("#boards tr[data-group=broken] button[data-deed=show]").await?;
    studio.page.until("document.querySelectorAll('#board-facts dt').length > 3").await?;
    studio.take("board").await?;
    studio.page.click("#board-actions button[data-deed=delete]").await?;
    studio.page.until("document.querySelector('#confirm').open").await?;
    studio.take("question").await?;

    evaluation.abort();
    drop(browser);
    attic.stop().await?;
    bench.stop().await?;
    println!("the pictures are in {}", folder.display());
    Ok(())
}

/// Takes pictures of one page.
struct Studio<'a> {
    page: &'a Page,
    folder: &'a Path,
}

impl Studio<'_> {
    async fn open(&self, farm: &Farm) -> Result {
        self.page.open(&farm.url()).await?;
        self.page.until("document.querySelector('#connection').dataset.state === 'live'").await
    }

    /// One picture for each size and theme.
    async fn take(&self, what: &str) -> Result {
        for (size, width, height) in SIZES {
            self.page.resize(width, height).await?;
            for theme in THEMES {
                self.page.theme(theme).await?;
                let picture = self.page.picture().await?;
                std::fs::write(self.folder.join(format!("{what}-{size}-{theme}.png")), picture)?;
            }
        }
        Ok(())
    }
}

/// Evaluates circuits on two boards, for as long as the task is there.
async fn evaluate(farm: &Farm) -> Result<JoinHandle<()>> {
    let client = Client::builder(farm.url()).name("evolution run 12").connect().await?;
    let options = ReserveOptions::evaluating::<PulseCount>(2, &PulseCountArgs::default());
    let reservation = client.reserve(options).await?;
    let evaluator = Evaluator::<PulseCount>::new(&client, &reservation)?;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/circuits/johnson.bin");
    let file = std::fs::read(file)?;
    Ok(tokio::spawn(async move {
        // The client is kept for as long as it is measured with.
        let _client = client;
        loop {
            let circuits = (0..8).map(|number| Circuit::new(format!("{number}"), file.clone()));
            let outcomes = evaluator.evaluate(circuits.collect::<Vec<_>>(), Placement::Each);
            futures::StreamExt::collect::<Vec<_>>(outcomes).await;
        }
    }))
}
