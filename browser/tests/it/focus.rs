//! By keyboard alone: the focus goes everywhere, and is never lost.

use crate::scene::{FOCUSED, Scene, bus, deed, focus, focused, row, until_focused};
use icefarm_browser::{ENTER, ESCAPE, Page, Result, SHIFT_TAB, TAB};
use serde_json::json;

/// Goes on with the tabulator, at most this often, until something has the focus.
async fn tab_to(page: &Page, name: &str) -> Result<Vec<String>> {
    let mut passed = Vec::new();
    for _ in 0..60 {
        page.keys(TAB).await?;
        let now = focused(page).await?;
        if now == name {
            return Ok(passed);
        }
        passed.push(now);
    }
    Err(format!("the tabulator does not come to {name}, but to {passed:?}").into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn the_tabulator_follows_the_page_from_the_top() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    page.keys(TAB).await?;
    assert_eq!(focused(page).await?, "Skip to the boards");
    page.keys(ENTER).await?;
    until_focused(page, "boards").await?;
    scene.reload("").await?;
    page.until(&format!("!!{}", deed("end", "A"))).await?;
    let mut places = Vec::new();
    for place in ["theme", "Worker", "search", "group", "Board", "A", "End A", "Reboot A"] {
        places.extend(tab_to(page, place).await?);
    }
    assert!(!places.contains(&"nothing".to_owned()), "{places:?}");
    page.keys(SHIFT_TAB).await?;
    assert_eq!(focused(page).await?, "End A");
    // What has the focus shows it.
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(page.text(outline).await?, "solid");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_question_keeps_the_keyboard_and_escape_gives_it_back() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    focus(page, &deed("end", "A")).await?;
    page.keys(ENTER).await?;
    // The answer that does nothing comes first.
    until_focused(page, "confirm-no").await?;
    page.keys(ESCAPE).await?;
    until_focused(page, "End A").await?;
    assert_eq!(scene.farm.get("/v1/leases").await?[0]["client"], "ann");

    page.keys(ENTER).await?;
    until_focused(page, "confirm-no").await?;
    page.keys(ENTER).await?;
    until_focused(page, "End A").await?;
    assert_eq!(scene.farm.get("/v1/leases").await?[0]["client"], "ann");

    focus(page, &deed("show", "A")).await?;
    page.keys(ENTER).await?;
    until_focused(page, "Close").await?;
    page.keys(ESCAPE).await?;
    until_focused(page, "A").await
}

/// The button that asked is gone when the lease is: the focus goes to what is left of its row.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn after_a_deed_the_focus_is_in_the_row_that_it_was_done_to() -> Result {
    let scene = Scene::open(&["A", "B"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A", "B"]).await?;
    focus(page, &deed("end", "B")).await?;
    page.keys(ENTER).await?;
    until_focused(page, "confirm-no").await?;
    page.keys(TAB).await?;
    until_focused(page, "confirm-yes").await?;
    page.keys(ENTER).await?;
    scene.shows("B", "Available").await?;
    until_focused(page, "B").await
}

/// The same if the lease ends by itself while the question is open.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn after_a_question_that_is_out_of_date_the_focus_is_in_its_row() -> Result {
    let scene = Scene::open(&["A", "B"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A", "B"]).await?;
    focus(page, &deed("end", "B")).await?;
    page.keys(ENTER).await?;
    until_focused(page, "confirm-no").await?;
    scene.farm.post("/endall", json!({"name": "ann"})).await?;
    scene.shows("B", "Available").await?;
    page.keys(ESCAPE).await?;
    until_focused(page, "B").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn after_a_deed_in_the_dialog_of_a_board_the_focus_is_in_that_dialog() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    focus(page, &deed("show", "A")).await?;
    page.keys(ENTER).await?;
    page.until("!!document.querySelector('#board-actions [data-deed=end]')").await?;
    focus(page, "document.querySelector('#board-actions [data-deed=end]')").await?;
    page.keys(ENTER).await?;
    until_focused(page, "confirm-no").await?;
    page.keys(TAB).await?;
    page.keys(ENTER).await?;
    page.until("!document.querySelector('#board-actions [data-deed=end]')").await?;
    page.until("!document.querySelector('#confirm').open").await?;
    page.until("document.querySelector('#board').contains(document.activeElement)").await?;
    page.keys(ESCAPE).await?;
    until_focused(page, "A").await
}

/// A button of the dialog may go while it has the focus.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_lease_that_ends_takes_no_focus_out_of_the_dialog() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    focus(page, &deed("show", "A")).await?;
    page.keys(ENTER).await?;
    page.until("!!document.querySelector('#board-actions [data-deed=end]')").await?;
    focus(page, "document.querySelector('#board-actions [data-deed=end]')").await?;
    scene.farm.post("/endall", json!({"name": "ann"})).await?;
    page.until("!document.querySelector('#board-actions [data-deed=end]')").await?;
    page.until("document.querySelector('#board').contains(document.activeElement)").await
}

/// While control works on it, and when it refuses, the focus stays on the button.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_deed_that_fails_leaves_the_focus_on_its_button() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    focus(page, &deed("end", "A")).await?;
    page.keys(ENTER).await?;
    until_focused(page, "confirm-no").await?;
    scene.farm.post("/endall", json!({"name": "ann"})).await?;
    page.run("hold.posts = true", json!([])).await?;
    page.keys(TAB).await?;
    page.keys(ENTER).await?;
    assert_eq!(focused(page).await?, "confirm-yes");
    // A frame later the browser takes the focus from what cannot have it.
    page.run("return new Promise((go) => requestAnimationFrame(() => setTimeout(go)))", json!([]))
        .await?;
    assert_eq!(focused(page).await?, "confirm-yes");
    page.run("letGo()", json!([])).await?;
    page.until("!document.querySelector('#confirm-failure').hidden").await?;
    assert_eq!(focused(page).await?, "confirm-yes");
    page.keys(ESCAPE).await?;
    until_focused(page, "A").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_row_that_goes_leaves_the_focus_to_its_table() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    let attic = scene.farm.worker("attic", bus(&["X"])).await?;
    scene.shows("X", "Available").await?;
    attic.stop().await?;
    page.until(&format!("!!{} && !!{}", deed("forget", "attic"), deed("delete", "X"))).await?;
    focus(page, &deed("delete", "X")).await?;
    page.keys(ENTER).await?;
    until_focused(page, "confirm-no").await?;
    page.keys(TAB).await?;
    page.keys(ENTER).await?;
    page.until(&format!("!{}", row("X"))).await?;
    until_focused(page, "boards").await?;

    focus(page, &deed("forget", "attic")).await?;
    page.keys(ENTER).await?;
    until_focused(page, "confirm-no").await?;
    page.keys(TAB).await?;
    page.keys(ENTER).await?;
    page.until(&format!("!{}", row("attic"))).await?;
    until_focused(page, "workers-table").await
}

/// The worker is there again, and with it goes the button to forget it, which had the focus.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn a_worker_that_comes_back_keeps_the_focus_in_its_row() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    let attic = scene.farm.worker("attic", bus(&["X"])).await?;
    scene.shows("X", "Available").await?;
    attic.stop().await?;
    page.until(&format!("!!{}", deed("forget", "attic"))).await?;
    focus(page, &deed("forget", "attic")).await?;
    let _attic = scene.farm.worker("attic", bus(&["X"])).await?;
    page.until(&format!("!{}", deed("forget", "attic"))).await?;
    until_focused(page, "Drain attic").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn changes_leave_the_focus_alone() -> Result {
    let scene = Scene::open(&["A", "B"]).await?;
    let page = scene.page();
    focus(page, &deed("show", "B")).await?;
    scene.reserve("ann", &["A"]).await?;
    scene.reserve("ann", &["B"]).await?;
    assert_eq!(page.text(FOCUSED).await?, "B");
    page.click("#search").await?;
    page.keys("an").await?;
    scene.farm.post("/endall", json!({"name": "ann"})).await?;
    page.until("document.querySelectorAll('#boards tbody tr').length === 0").await?;
    page.keys("x").await?;
    assert_eq!(page.text("document.querySelector('#search').value").await?, "anx");
    Ok(())
}
