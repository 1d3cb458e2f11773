//! Filtering and sorting.

use crate::scene::{FOCUSED, Scene, focus};
use icefarm_browser::{ENTER, Page, Result};
use serde_json::{Value as Json, json};

const SERIALS: &str = "[...document.querySelectorAll('#boards tbody tr')].map(r => r.dataset.key)";

async fn serials(page: &Page) -> Result<Json> {
    page.get(SERIALS).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn boards_are_found_by_words_and_status_and_the_address_keeps_it() -> Result {
    let scene = Scene::open(&["A1", "A2", "B1"]).await?;
    let page = scene.page();
    scene.reserve("ann lee", &["A1"]).await?;
    page.click("#search").await?;
    page.keys("lee a").await?;
    assert_eq!(serials(page).await?, json!(["A1"]));
    assert_eq!(page.text("document.querySelector('#boards-count').innerText").await?, "1 of 3");
    // Rows that come to fit are shown as they change.
    scene.farm.reserve("ann lee", &["B1"]).await?;
    page.until(&format!("{SERIALS}.join() === 'A1,B1'")).await?;

    scene.reload("?status=available").await?;
    page.until(&format!("{SERIALS}.join() === 'A2'")).await?;
    let pressed = "document.querySelector('#tiles [aria-pressed=true]').dataset.group";
    assert_eq!(page.text(pressed).await?, "available");
    page.click("#tiles [data-group=reserved]").await?;
    assert_eq!(serials(page).await?, json!(["A1", "B1"]));
    assert!(page.text("location.search").await?.contains("status=reserved"));
    page.click("#tiles [data-group=broken]").await?;
    assert_eq!(serials(page).await?, json!([]));
    let empty = page.text("document.querySelector('#boards-empty').innerText").await?;
    assert!(empty.starts_with("No board fits the filter"), "{empty}");
    page.click("#tiles [data-group=broken]").await?;
    assert_eq!(serials(page).await?, json!(["A1", "A2", "B1"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn heads_sort_by_mouse_and_keyboard_and_say_so() -> Result {
    let scene = Scene::open(&["B2", "B10", "A1"]).await?;
    let page = scene.page();
    assert_eq!(serials(page).await?, json!(["A1", "B2", "B10"]));
    page.click("#boards thead th:nth-child(1) button").await?;
    assert_eq!(serials(page).await?, json!(["B10", "B2", "A1"]));
    let sorted = "document.querySelector('#boards thead th:nth-child(1)').ariaSort";
    assert_eq!(page.text(sorted).await?, "descending");
    assert_eq!(page.text("new URL(location).searchParams.get('sort')").await?, "-serial");

    scene.reserve("zoe", &["B2"]).await?;
    focus(page, "document.querySelector('#boards thead th:nth-child(3) button')").await?;
    page.keys(ENTER).await?;
    assert_eq!(serials(page).await?, json!(["B2", "A1", "B10"]), "boards without come last");
    assert_eq!(page.text(FOCUSED).await?, "Holder");
    assert_eq!(page.get(sorted).await?, Json::Null);
    Ok(())
}
