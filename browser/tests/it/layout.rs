//! Nothing is out of sight, however narrow the page is and however long the names are.

use crate::scene::{Scene, bus, button};
use icefarm_browser::{Page, Result};
use serde_json::json;

const WIDTHS: [u32; 8] = [320, 360, 390, 600, 721, 900, 1201, 1600];

async fn assert_fits(page: &Page, what: &str) -> Result {
    for width in WIDTHS {
        page.resize(width, 800).await?;
        let wide = page.get("document.scrollingElement.scrollWidth").await?;
        assert_eq!(wide, json!(width), "{what} scrolls sideways");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn the_page_never_scrolls_sideways() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    assert_fits(page, "a small farm").await?;

    // Names as long as they may be, without a place to break them.
    let serial = "S".repeat(128);
    let _attic = scene.farm.worker(&"w".repeat(100), bus(&[&serial])).await?;
    scene.shows(&serial, "Available").await?;
    scene.reserve(&"c".repeat(128), &[&serial]).await?;
    assert_fits(page, "a farm with long names").await?;

    page.resize(360, 800).await?;
    page.click(&button("show", &serial)).await?;
    page.until("!!document.querySelector('#board-actions [data-deed=end]')").await?;
    let inner = "(e => e.scrollWidth - e.clientWidth)(document.querySelector('#board'))";
    assert_eq!(page.get(inner).await?, json!(0), "the dialog of the board");
    page.click("#board-actions [data-deed=end]").await?;
    page.until("document.querySelector('#confirm').open").await?;
    let inner = "(e => e.scrollWidth - e.clientWidth)(document.querySelector('#confirm'))";
    assert_eq!(page.get(inner).await?, json!(0), "the question");
    assert_fits(page, "a page with dialogs").await
}

/// A list that scrolls by itself must not make the page longer than what is on it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn the_page_ends_where_its_content_does() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    let fill = "const item = document.querySelector('#events li');
        const unseen = document.createElement('span');
        unseen.className = 'unseen';
        unseen.textContent = 'Warning: ';
        item.querySelector('.what').prepend(unseen);
        for (let i = 0; i < 100; i++) item.after(item.cloneNode(true))";
    page.run(fill, json!([])).await?;
    let end = "Math.ceil(document.querySelector('main').getBoundingClientRect().bottom + scrollY)";
    for width in WIDTHS {
        page.resize(width, 600).await?;
        let height = page.get("document.scrollingElement.scrollHeight").await?.as_u64();
        assert!(height <= page.get(end).await?.as_u64().max(Some(600)), "at {width}: {height:?}");
    }
    Ok(())
}

/// Fingers need more room than a mouse does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn buttons_on_a_phone_are_large_enough_for_a_finger() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    page.resize(360, 800).await?;
    let shown = page.text("document.querySelector('#workers-table').innerText").await?;
    assert!(shown.contains("0.1.0\n"), "the worker's version is left out: {shown}");
    let small = "[...document.querySelectorAll('button, select, input')].filter(e =>
        e.checkVisibility() && e.getBoundingClientRect().height < 32).map(e => e.outerHTML)";
    assert_eq!(page.get(small).await?, json!([]));
    Ok(())
}
