//! Without scripting, and with names that would rather be scripts.

use crate::scene::{Scene, bus};
use icefarm_browser::{Chromium, Result};
use serde_json::json;

const HOSTILE: &str = r#"</td><script>alert(1)</script>"'&amp;<img src=x onerror=alert(2)>"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn without_scripting_the_page_shows_the_farm_all_the_same() -> Result {
    let scene = Scene::open(&["A", "B"]).await?;
    scene.reserve("ann", &["A"]).await?;
    let browser = Chromium::start().await?;
    let page = browser.page();
    page.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await?;
    page.open(&scene.farm.url()).await?;
    let shown = page.text("document.querySelector('main').innerText").await?;
    for text in ["bench", "Reachable", "pulsecount", "Reserved", "ann", "Available", "simulated"] {
        assert!(shown.contains(text), "no {text} in {shown}");
    }
    assert!(page.text("document.querySelector('#connection').innerText").await?.contains("As of"));
    let rows = "document.querySelectorAll('#boards tbody tr').length";
    assert_eq!(page.get(rows).await?, json!(2));
    // What would need scripting is not offered.
    for id in ["filters", "theme", "lost", "event-filters"] {
        let hidden = format!("document.getElementById('{id}').checkVisibility()");
        assert_eq!(page.get(&hidden).await?, json!(false), "{id}");
    }
    assert_eq!(page.get("[...document.querySelectorAll('tbody button')].length").await?, json!(0));
    let scripted = "document.documentElement.classList.contains('js')";
    assert_eq!(page.get(scripted).await?, json!(false), "scripting is on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn hostile_names_are_text() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    let serial = r#"X"'<b>&"#;
    let _attic = scene.farm.worker(r#"<i>attic</i>""#, bus(&[serial])).await?;
    scene.shows(serial, "Available").await?;
    scene.reserve(HOSTILE, &[serial]).await?;
    scene.shows(serial, HOSTILE).await?;
    page.until(&format!(
        "document.querySelector('#events').innerText.includes({})",
        json!(HOSTILE)
    ))
    .await?;
    // Each of its buttons still knows what it is for.
    page.run("document.querySelector(`[aria-label^=\"End X\"]`).click()", json!([])).await?;
    page.until("document.querySelector('#confirm').open").await?;
    let asked = page.text("document.querySelector('#confirm').innerText").await?;
    assert!(asked.contains(HOSTILE) && asked.contains(serial), "{asked}");
    page.click("#confirm-yes").await?;
    scene.shows(serial, "Available").await?;

    scene.farm.reserve(HOSTILE, &["A"]).await?;
    scene.reload("?q=%3Cscript%3E&sort=%3Cb%3E&status=%22%3E%3Cimg%20src%3Dx%3E").await?;
    let foreign = "document.querySelectorAll('main img, main script, main i, main b').length";
    page.until(&format!("{foreign} === 0")).await?;
    Ok(())
}

/// The policy allows everything that the page does, and nothing that it does not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn the_console_has_nothing_to_complain_of() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    page.click("tr[data-key=A] [data-deed=show]").await?;
    page.until("!!document.querySelector('#board-actions [data-deed=end]')").await?;
    page.click("#board-actions [data-deed=end]").await?;
    page.click("#confirm-yes").await?;
    page.until("!document.querySelector('#confirm').open").await?;
    page.click("#board [value=close]").await?;
    page.click("#theme").await?;
    assert_eq!(page.console().await?, Vec::<String>::new());

    // The policy is in force: what it forbids is complained of.
    let inject = "const script = document.createElement('script');
        script.textContent = 'window.injected = 1'; document.body.append(script);
        const style = document.createElement('p'); style.innerHTML = '<b style=\"color:red\">x</b>';
        document.body.append(style);";
    page.run(inject, json!([])).await?;
    assert_eq!(page.get("window.injected ?? null").await?, json!(null));
    assert!(!page.console().await?.is_empty());
    Ok(())
}
