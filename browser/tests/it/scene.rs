//! A farm with boards, and the panel that shows it.

use icefarm_browser::{Bench, Chromium, Farm, Page, Result};
use icefarm_core::Serial;
use icefarm_sim::{VirtualBus, VirtualBusBuilder};
use serde_json::json;

/// The page's own requests and messages can be held back by these, so that a test sees what a
/// slow network would show: `hold.messages`, `hold.posts`, and `letGo()`.
const HOLD: &str = r#"
    window.hold = { messages: false, posts: false };
    const waiting = [];
    window.letGo = () => {
        hold.messages = hold.posts = false;
        for (const go of waiting.splice(0)) go();
    };
    const listen = WebSocket.prototype.addEventListener;
    WebSocket.prototype.addEventListener = function (name, told) {
        listen.call(this, name, (event) => {
            if (hold.messages && name === "message") waiting.push(() => told(event));
            else told(event);
        });
    };
    const send = window.fetch;
    window.fetch = async (path, options) => {
        if (hold.posts && options?.method === "POST") {
            await new Promise((go) => waiting.push(go));
        }
        return send(path, options);
    };
"#;

pub(crate) struct Scene {
    pub(crate) farm: Farm,
    pub(crate) bench: Bench,
    browser: Chromium,
}

/// Boards that run a hundred times faster than real ones.
pub(crate) fn bus(serials: &[&str]) -> VirtualBusBuilder {
    let bus = VirtualBus::builder().seed("bench").speed(100.0);
    serials.iter().fold(bus, |bus, serial| bus.serial(Serial::new(*serial).unwrap()))
}

impl Scene {
    /// All boards can be reserved, and the page shows it.
    pub(crate) async fn open(serials: &[&str]) -> Result<Self> {
        let farm = Farm::start().await?;
        let bench = farm.worker("bench", bus(serials)).await?;
        farm.until_available(serials.len() as u64).await?;
        let browser = Chromium::start().await?;
        let scene = Self { farm, bench, browser };
        scene
            .page()
            .devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": HOLD}))
            .await?;
        scene.reload("").await?;
        Ok(scene)
    }

    pub(crate) fn page(&self) -> &Page {
        self.browser.page()
    }

    /// Opens the panel, with what follows after its path.
    pub(crate) async fn reload(&self, query: &str) -> Result {
        self.page().open(&format!("{}/{query}", self.farm.url())).await?;
        self.page().until(LIVE).await
    }

    /// Reserves, and waits until the page shows it.
    pub(crate) async fn reserve(&self, client: &str, serials: &[&str]) -> Result {
        self.farm.reserve(client, serials).await?;
        for serial in serials {
            self.shows(serial, "Reserved").await?;
            self.page().until(&format!("!!{}", deed("end", serial))).await?;
        }
        Ok(())
    }

    /// Waits until the row of a board has a text in it.
    pub(crate) async fn shows(&self, serial: &str, text: &str) -> Result {
        let text = json!(text);
        self.page().until(&format!("{}.innerText.includes({text})", row(serial))).await
    }
}

pub(crate) const LIVE: &str = "document.querySelector('#connection').dataset.state === 'live'";

/// The row of a board or worker, as an expression.
pub(crate) fn row(key: &str) -> String {
    format!(
        "[...document.querySelectorAll('tbody tr')].find(row => row.dataset.key === {})",
        json!(key)
    )
}

/// A button in a row, as an expression.
pub(crate) fn deed(deed: &str, key: &str) -> String {
    format!("{}.querySelector('button[data-deed={deed}]')", row(key))
}

/// The same as a selector, for keys without quotes.
pub(crate) fn button(deed: &str, key: &str) -> String {
    format!("tr[data-key=\"{key}\"] button[data-deed={deed}]")
}

/// Puts the keyboard's focus on an element of the page.
pub(crate) async fn focus(page: &Page, expression: &str) -> Result {
    page.run(&format!("({expression}).focus()"), json!([])).await?;
    assert_eq!(page.get(&format!("document.activeElement === {expression}")).await?, json!(true));
    Ok(())
}

/// What has the focus: its id or what it is called.
pub(crate) async fn focused(page: &Page) -> Result<String> {
    page.text(FOCUSED).await
}

pub(crate) const FOCUSED: &str = "(e => e === document.body ? 'nothing' : \
    e.id || e.getAttribute('aria-label') || e.innerText || e.tagName)(document.activeElement)";

/// Waits until something has the focus.
pub(crate) async fn until_focused(page: &Page, name: &str) -> Result {
    page.until(&format!("{FOCUSED} === {}", json!(name))).await
}
