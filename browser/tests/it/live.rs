//! The page shows what happens, without being loaded anew.

use crate::scene::{LIVE, Scene, bus, row};
use futures::StreamExt as _;
use icefarm_browser::Result;
use icefarm_client::{Circuit, Client, Evaluator, Placement, ReserveOptions};
use icefarm_state_pulse_count::{PulseCount, PulseCountArgs};
use serde_json::json;

/// Marks the document, which a reload would take away.
const MARK: &str = "window.mark = 1";
const MARKED: &str = "window.mark === 1";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_board_is_reserved_evaluated_and_given_back_before_ones_eyes() -> Result {
    let scene = Scene::open(&["A", "B"]).await?;
    let page = scene.page();
    page.run(MARK, json!([])).await?;
    let tile = "document.querySelector('#tiles [data-group=reserved] .figure').innerText";
    assert_eq!(page.text(tile).await?, "0");

    let client = Client::builder(scene.farm.url()).name("ann").connect().await?;
    let options = ReserveOptions::evaluating::<PulseCount>(1, &PulseCountArgs::default());
    let reservation = client.reserve(options).await?;
    let serial = reservation.serials()[0].to_string();
    scene.shows(&serial, "Reserved").await?;
    scene.shows(&serial, "ann").await?;
    scene.shows(&serial, "pulsecount").await?;
    scene.shows(&serial, "kept by its client").await?;
    page.until(&format!("{tile} === '1'")).await?;

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/circuits/pulses_1000.bin");
    let circuits = [Circuit::new("one", std::fs::read(file)?)];
    let evaluator = Evaluator::<PulseCount>::new(&client, &reservation)?;
    let outcomes: Vec<_> = evaluator.evaluate(circuits, Placement::Any).collect().await;
    assert_eq!(outcomes.len(), 1);
    reservation.end().await?;
    scene.shows(&serial, "Available").await?;
    page.until(&format!("{tile} === '0'")).await?;
    page.until(&format!("!{}.innerText.includes('ann')", row(&serial))).await?;
    let told = "document.querySelector('#events').innerText.includes('ann')";
    page.until(told).await?;
    assert_eq!(page.get(MARKED).await?, json!(true), "the page was loaded anew");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_worker_comes_and_goes_and_comes_again() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    page.run(MARK, json!([])).await?;
    let attic = scene.farm.worker("attic", bus(&["X"])).await?;
    page.until(&format!("{}.innerText.includes('Reachable')", row("attic"))).await?;
    scene.shows("X", "Available").await?;
    for shown in ["http://127.0.0.1:", "pulsecount", "icefarm-state-pulse-count 0.", "ago"] {
        page.until(&format!("{}.innerText.includes('{shown}')", row("attic"))).await?;
    }

    attic.stop().await?;
    page.until(&format!("{}.innerText.includes('Stopped')", row("attic"))).await?;
    scene.shows("X", "Offline").await?;
    scene.shows("X", "was stopped").await?;
    page.until("document.title.startsWith('1 of 2 free')").await?;
    let _attic = scene.farm.worker("attic", bus(&["X"])).await?;
    page.until(&format!("{}.innerText.includes('Reachable')", row("attic"))).await?;
    scene.shows("X", "Available").await?;
    assert_eq!(page.get(MARKED).await?, json!(true), "the page was loaded anew");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn the_page_comes_back_when_control_does() -> Result {
    let mut scene = Scene::open(&["A"]).await?;
    let page = scene.page().clone();
    page.run(MARK, json!([])).await?;
    scene.farm.stop_control().await?;
    page.until("document.querySelector('#connection').dataset.state === 'lost'").await?;
    page.until("!document.querySelector('#lost').hidden").await?;
    let said = page.text("document.querySelector('#lost').innerText").await?;
    assert!(said.contains("What you see is from"), "{said}");

    scene.farm.start_control().await?;
    page.until(LIVE).await?;
    scene.shows("A", "Available").await?;
    assert_eq!(page.get("document.querySelector('#lost').hidden").await?, json!(true));
    scene.reserve("bob", &["A"]).await?;
    assert_eq!(page.get(MARKED).await?, json!(true), "the page was loaded anew");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_page_whose_login_has_ended_asks_for_another() -> Result {
    let mut scene = Scene::open(&["A"]).await?;
    let page = scene.page().clone();
    let is_at = |path: &str| format!("location.pathname === '{path}'");
    // From here on the farm asks for tokens, and knows no logins after a restart.
    let made = scene.farm.post("/v1/tokens", json!({"role": "operator"})).await?;
    for _ in 0..2 {
        scene.farm.stop_control().await?;
        scene.farm.start_control().await?;
        page.until(&is_at("/login")).await?;
        let log_in = "document.querySelector('#token').value = arguments[0];
            document.querySelector('form').requestSubmit()";
        page.run(log_in, json!([made["token"]])).await?;
        page.until(&is_at("/")).await?;
        page.until(LIVE).await?;
    }
    page.run("document.querySelector('form[action=logout]').requestSubmit()", json!([])).await?;
    page.until(&is_at("/login")).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn events_are_listed_newest_first_and_can_be_chosen() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("first", &["A"]).await?;
    let first = "document.querySelector('#events li').innerText";
    page.until(&format!("{first}.includes('first')")).await?;
    let shown = "document.querySelectorAll('#events li').length";
    let usual = page.get(shown).await?.as_u64();
    let choose = "const choice = document.querySelector('#events-shown');
        choice.value = arguments[0]; choice.dispatchEvent(new Event('change'))";
    page.run(choose, json!(["all"])).await?;
    assert!(page.get(shown).await?.as_u64() > usual, "routine is shown");
    let numbers = "[...document.querySelectorAll('#events li')].map(li => Number(li.dataset.seq))";
    let sorted = format!("{numbers}.every((seq, i, all) => i === 0 || seq < all[i - 1])");
    assert_eq!(page.get(&sorted).await?, json!(true));
    page.run(choose, json!(["warnings"])).await?;
    assert_eq!(page.get(shown).await?, json!(0));
    page.until("!document.querySelector('#events-empty').hidden").await
}
