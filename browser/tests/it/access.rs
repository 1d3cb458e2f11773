//! For who hears the page instead of seeing it, and for who sees it badly.

use crate::scene::{Scene, button, deed};
use icefarm_browser::{Page, Result};
use serde_json::{Value as Json, json};

/// The roles of what is operated.
const CONTROLS: [&str; 9] = [
    "button",
    "link",
    "searchbox",
    "textbox",
    "combobox",
    "listbox",
    "checkbox",
    "dialog",
    "MenuListPopup",
];

/// Everything that a screen reader is told of, as role and name.
async fn told(page: &Page) -> Result<Vec<(String, String)>> {
    let tree = page.devtools("Accessibility.getFullAXTree", json!({})).await?;
    let text = |value: &Json| value["value"].as_str().unwrap_or_default().to_owned();
    let nodes = tree["nodes"].as_array().ok_or("the tree has no nodes")?;
    let told = nodes.iter().filter(|node| node["ignored"] != true);
    Ok(told.map(|node| (text(&node["role"]), text(&node["name"]))).collect())
}

fn has(told: &[(String, String)], role: &str, name: &str) -> bool {
    told.iter().any(|(known, called)| known == role && called == name)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn every_control_has_a_name_of_its_own() -> Result {
    let scene = Scene::open(&["A", "B"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A", "B"]).await?;
    let names = told(page).await?;
    let nameless: Vec<_> = names
        .iter()
        .filter(|(role, name)| {
            CONTROLS.contains(&role.as_str()) && role != "MenuListPopup" && name.trim().is_empty()
        })
        .collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    for (role, name) in [
        ("button", "End A"),
        ("button", "End B"),
        ("button", "Reboot A"),
        ("combobox", "Status"),
        ("combobox", "Which events"),
        ("table", "Workers 1"),
        ("table", "Boards 2"),
        ("columnheader", "Time left"),
        ("columnheader", "Actions"),
        ("rowheader", "bench"),
    ] {
        assert!(
            names.iter().any(|(known, called)| known == role && called.starts_with(name)),
            "no {role} {name} in {names:?}"
        );
    }
    page.click(&button("show", "A")).await?;
    page.until("!!document.querySelector('#board-actions [data-deed=end]')").await?;
    let names = told(page).await?;
    assert!(has(&names, "dialog", "A") && has(&names, "button", "Close"), "{names:?}");
    page.click("#board-actions [data-deed=end]").await?;
    page.until("document.querySelector('#confirm').open").await?;
    let names = told(page).await?;
    assert!(has(&names, "dialog", "End the lease on A?"), "{names:?}");
    assert!(!has(&names, "button", "Close"), "what is behind a question is not told");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn tables_stay_tables_wherever_they_are_shown() -> Result {
    let scene = Scene::open(&["A"]).await?;
    let page = scene.page();
    // On a phone, cells with nothing in them are left out.
    for (width, cells) in [(1280, 11), (360, 6)] {
        page.resize(width, 800).await?;
        let names = told(page).await?;
        let count = |role| names.iter().filter(|(known, _)| known == role).count();
        assert_eq!((count("table"), count("rowheader")), (2, 2), "at {width}: {names:?}");
        assert!(count("cell") + count("gridcell") >= cells, "at {width}: {names:?}");
    }
    let bare = "[...document.querySelectorAll('th')].filter(head => !head.scope).length";
    assert_eq!(page.get(bare).await?, json!(0));
    let live = "['said', 'trouble', 'confirm-failure', 'lost'].map(id =>
        document.getElementById(id).getAttribute('role'))";
    assert_eq!(page.get(live).await?, json!(["status", "alert", "alert", null]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn what_happens_is_said() -> Result {
    let mut scene = Scene::open(&["A"]).await?;
    let page = scene.page().clone();
    let said = |text: &str| format!("document.querySelector('#said').innerText.includes('{text}')");
    scene.farm.stop_control().await?;
    page.until(&said("connection to control is lost")).await?;
    scene.farm.start_control().await?;
    page.until(&said("Connected again")).await
}

/// Every text against what is behind it, as WCAG 2 computes it.
const CONTRAST: &str = r#"
    const channel = (value) => {
        value /= 255;
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    };
    const read = (text) => {
        const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
        return { r, g, b, a };
    };
    const light = ({ r, g, b }) =>
        0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const colour = read(getComputedStyle(e).backgroundColor);
            if (colour.a === 1) return colour;
            if (colour.a > 0) throw new Error(`a background shows through: ${e.outerHTML}`);
        }
        return { r: 255, g: 255, b: 255 };
    };
    const bad = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
        const [a, b] = [light(read(getComputedStyle(element).color)), light(ground(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) bad.push(`${texts.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
    }
    return bad;
"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromium-driver"]
async fn every_text_can_be_read_in_both_themes() -> Result {
    let scene = Scene::open(&["A", "B", "C"]).await?;
    let page = scene.page();
    scene.reserve("ann", &["A"]).await?;
    scene.bench.bus.board(&"B".parse()?).unwrap().unplug();
    page.until(&format!("!!{}", deed("delete", "B"))).await?;
    let ground = "getComputedStyle(document.documentElement).backgroundColor";
    let mut grounds = Vec::new();
    for theme in ["light", "dark"] {
        page.theme(theme).await?;
        assert_eq!(page.run(CONTRAST, json!([])).await?, json!([]), "{theme}");
        grounds.push(page.text(ground).await?);
    }
    assert_ne!(grounds[0], grounds[1], "the themes are two");

    // By hand it is the other way round, and stays so.
    page.click("#theme").await?;
    assert_eq!(page.text("document.querySelector('#theme').innerText").await?, "Theme: light");
    assert_eq!(page.text(ground).await?, grounds[0]);
    scene.reload("").await?;
    assert_eq!(page.text(ground).await?, grounds[0]);
    page.theme("light").await?;
    page.click("#theme").await?;
    assert_eq!(page.text(ground).await?, grounds[1]);
    assert_eq!(page.run(CONTRAST, json!([])).await?, json!([]), "dark by hand");
    Ok(())
}
