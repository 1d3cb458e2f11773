//! What an operator does: each deed asks first, and does nothing when the answer is no.

use crate::scene::{Scene, bus, button, deed, row, until_focused};
use icefarm_browser::Result;
use serde_json::json;

const QUESTION: &str = "document.querySelector('#confirm').open";
const ANSWERED: &str = "!document.querySelector('#confirm').open";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_lease_is_ended_only_when_the_answer_is_yes() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    page.click(&button("end", "A")).await?;
    page.until(QUESTION).await?;
    let asked = page.text("document.querySelector('#confirm').innerText").await?;
    assert!(asked.contains("End the lease on A?") && asked.contains("ann holds it"), "{asked}");
    page.click("#confirm-no").await?;
    page.until(ANSWERED).await?;
    assert_eq!(scene.farm.get("/v1/leases").await?.as_array().unwrap().len(), 1);

    page.click(&button("end", "A")).await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    page.until(ANSWERED).await?;
    assert_eq!(scene.farm.get("/v1/leases").await?, json!([]));
    page.until("document.querySelector('#said').innerText.includes('was ended')").await?;
    scene.shows("A", "Available").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_board_is_rebooted_and_its_holder_keeps_it() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    // A board that is still being made ready for its holder is not rebooted.
    page.until(&format!("!{}.innerText.includes('made ready')", row("A"))).await?;
    page.click(&button("reboot", "A")).await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    page.until(ANSWERED).await?;
    page.until("document.querySelector('#events').innerText.includes('rebooted')").await?;
    assert_eq!(scene.farm.get("/v1/leases").await?[0]["client"], "ann");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_board_that_is_gone_is_deleted() -> Result {
    let scene = Scene::open(&["A", "B"]).await?;
    let page = scene.page();
    let serial = "A".parse()?;
    scene.bench.bus.board(&serial).unwrap().unplug();
    page.until(&format!("!{0} || !!{1}", row("A"), deed("delete", "A"))).await?;
    if page.get(&format!("!{}", row("A"))).await? == json!(true) {
        return Err("a board that was unplugged is not shown".into());
    }
    page.click(&button("delete", "A")).await?;
    page.until(QUESTION).await?;
    page.click("#confirm-no").await?;
    page.until(ANSWERED).await?;
    assert_eq!(scene.farm.get("/v1/boards").await?.as_array().unwrap().len(), 2);
    page.click(&button("delete", "A")).await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    page.until(ANSWERED).await?;
    page.until(&format!("!{}", row("A"))).await?;
    assert_eq!(scene.farm.get("/v1/boards").await?.as_array().unwrap().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_worker_that_is_gone_is_forgotten() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    let attic = scene.farm.worker("attic", bus(&["X"])).await?;
    scene.shows("X", "Available").await?;
    assert_eq!(page.get(&deed("forget", "attic")).await?, json!(null));
    attic.stop().await?;
    page.until(&format!("!!{}", deed("forget", "attic"))).await?;
    page.click(&button("forget", "attic")).await?;
    page.until(QUESTION).await?;
    let asked = page.text("document.querySelector('#confirm').innerText").await?;
    assert!(asked.contains("Forget the worker attic?") && asked.contains("its board"), "{asked}");
    page.click("#confirm-no").await?;
    page.until(ANSWERED).await?;
    assert_eq!(scene.farm.get("/v1/workers").await?.as_array().unwrap().len(), 2);
    page.click(&button("forget", "attic")).await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    page.until(&format!("!{} && !{}", row("attic"), row("X"))).await?;
    assert_eq!(scene.farm.get("/v1/workers").await?.as_array().unwrap().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_worker_is_drained_and_taken_back() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    page.click(&button("drain_worker", "bench")).await?;
    page.until(QUESTION).await?;
    let asked = page.text("document.querySelector('#confirm').innerText").await?;
    assert!(asked.contains("Take the worker bench out of service?"), "{asked}");
    page.click("#confirm-no").await?;
    page.until(ANSWERED).await?;
    assert_eq!(scene.farm.get("/v1/workers").await?[0]["draining"], false);

    page.click(&button("drain_worker", "bench")).await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    scene.shows("A", "Draining").await?;
    page.until(&format!("{}.innerText.includes('an operator drains it')", row("bench"))).await?;
    assert_eq!(scene.farm.get("/v1/workers").await?[0]["draining"], true);
    assert_eq!(page.get(&deed("drain_worker", "bench")).await?, json!(null));

    page.click(&button("undrain_worker", "bench")).await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    scene.shows("A", "Available").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_board_is_drained_where_everything_about_it_is_shown() -> Result {
    let scene = Scene::open(&["A", "B"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    page.click(&button("show", "A")).await?;
    page.until("!!document.querySelector('#board-actions [data-deed=drain]')").await?;
    page.click("#board-actions [data-deed=drain]").await?;
    page.until(QUESTION).await?;
    let asked = page.text("document.querySelector('#confirm').innerText").await?;
    assert!(asked.contains("ann keeps it until the lease ends"), "{asked}");
    page.click("#confirm-yes").await?;
    page.until("!!document.querySelector('#board-actions [data-deed=undrain]')").await?;
    assert_eq!(scene.farm.get("/v1/leases").await?[0]["client"], "ann", "the lease goes on");
    scene.farm.post("/endall", json!({"name": "ann"})).await?;
    scene.reload("").await?;
    scene.shows("A", "Draining").await?;
    page.click(&button("undrain", "A")).await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    scene.shows("A", "Available").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn what_control_refuses_is_said_in_the_dialog() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    page.click(&button("end", "A")).await?;
    page.until(QUESTION).await?;
    scene.farm.post("/endall", json!({"name": "ann"})).await?;
    page.click("#confirm-yes").await?;
    page.until("!document.querySelector('#confirm-failure').hidden").await?;
    let said = page.text("document.querySelector('#confirm-failure').innerText").await?;
    assert!(said.contains("has moved on"), "{said}");
    Ok(())
}

/// The dialog asks control about its board, and may know of a lease before the table does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn the_dialog_of_a_board_ends_the_lease_that_it_shows() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    page.run("hold.messages = true", json!([])).await?;
    scene.farm.reserve("ann", &["A"]).await?;
    page.click(&button("show", "A")).await?;
    page.until("!!document.querySelector('#board-actions [data-deed=end]')").await?;
    page.click("#board-actions [data-deed=end]").await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    page.until(ANSWERED).await?;
    assert_eq!(scene.farm.get("/v1/leases").await?, json!([]));
    Ok(())
}

/// An answer that comes late belongs to the question that it answers.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_late_answer_does_not_close_the_next_question() -> Result {
    let scene = Scene::open(&["A", "B"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A", "B"]).await?;
    page.click(&button("end", "A")).await?;
    page.until(QUESTION).await?;
    page.run("hold.posts = true", json!([])).await?;
    page.click("#confirm-yes").await?;
    page.click("#confirm-no").await?;
    page.until(ANSWERED).await?;
    page.click(&button("end", "B")).await?;
    page.until(QUESTION).await?;
    page.run("letGo()", json!([])).await?;
    page.until("document.querySelector('#said').innerText.includes('on A was ended')").await?;
    assert_eq!(page.get(QUESTION).await?, json!(true));
    let leases = scene.farm.get("/v1/leases").await?;
    assert_eq!((leases[0]["serial"].as_str(), leases[1].is_null()), (Some("B"), true));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn who_waits_is_shown_and_taken_out_of_the_queue() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    let is_shown = "document.querySelector('#waiting').checkVisibility()";
    assert_eq!(page.get(is_shown).await?, json!(false));
    scene.reserve("ann", &["A"]).await?;
    for (client, priority) in [("bob", 0), ("eve", 1)] {
        let request = format!("00000000-0000-4000-8000-00000000000{priority}");
        let wanted = json!({"name": client, "serials": ["A"], "kind": "pulsecount",
            "wait_s": 3600, "priority": priority, "request": request});
        scene.farm.post("/reserveserials", wanted).await?;
    }
    let line = "[...document.querySelectorAll('#queue tbody th')].map(cell => \
        cell.querySelector('.names').textContent).join()";
    page.until(&format!("{line} === '1. eve,2. bob'")).await?;
    assert_eq!(page.get(is_shown).await?, json!(true));
    let told = page.text("document.querySelector('#queue tbody').innerText").await?;
    assert!(told.contains("1 board: A") && told.contains("pulsecount"), "{told}");

    page.click("#queue button[aria-label='Take out eve']").await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    page.until(ANSWERED).await?;
    page.until(&format!("{line} === '1. bob'")).await?;
    assert_eq!(scene.farm.get("/v1/queue").await?[0]["client"], "bob");

    page.click("#queue button[aria-label='Take out bob']").await?;
    page.until(QUESTION).await?;
    page.click("#confirm-yes").await?;
    page.until(ANSWERED).await?;
    page.until(&format!("!{is_shown}")).await?;
    until_focused(page, "boards").await?;
    assert_eq!(scene.farm.get("/v1/queue").await?, json!([]));
    Ok(())
}
