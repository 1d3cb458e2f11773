//! A page of a browser, over the WebDriver protocol: JSON over HTTP.

use crate::{PATIENCE, PAUSE, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use icefarm_net::{Endpoint, HttpClient, RequestOptions};
use serde_json::{Value as Json, json};
use std::time::Instant;

/// The tabulator key, as WebDriver writes it.
pub const TAB: &str = "\u{e004}";
/// The tabulator key while shift is held.
pub const SHIFT_TAB: &str = "\u{e008}\u{e004}";
/// The enter key.
pub const ENTER: &str = "\u{e007}";
/// The escape key.
pub const ESCAPE: &str = "\u{e00c}";

/// The key under which the protocol names elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A page of a browser.
#[derive(Debug, Clone)]
pub struct Page {
    http: HttpClient,
    driver: Endpoint,
    session: String,
}

impl Page {
    pub(crate) fn new(http: HttpClient, driver: Endpoint, session: &str) -> Self {
        Self { http, driver, session: session.to_owned() }
    }

    /// A page that does not exist.
    pub(crate) fn nowhere(driver: Endpoint) -> Self {
        Self::new(HttpClient::default(), driver, "none")
    }

    async fn call(&self, path: &str, body: Json) -> Result<Json> {
        let path = format!("/session/{}/{path}", self.session);
        let options = RequestOptions::default().timeout(PATIENCE);
        let mut answer: Json = self.http.post_json(&self.driver, &path, &body, &options).await?;
        Ok(answer["value"].take())
    }

    /// Opens an address.
    ///
    /// # Errors
    /// If the browser does not answer, as everything here.
    pub async fn open(&self, url: &str) -> Result {
        self.call("url", json!({ "url": url })).await.map(drop)
    }

    /// Runs the body of a function in the page, and gives what it returns.
    ///
    /// # Errors
    /// If the script throws.
    pub async fn run(&self, script: &str, arguments: Json) -> Result<Json> {
        self.call("execute/sync", json!({"script": script, "args": arguments}))
            .await
            .map_err(|error| format!("`{script}`: {error}").into())
    }

    /// What an expression of JavaScript is in the page.
    ///
    /// # Errors
    /// If it throws.
    pub async fn get(&self, expression: &str) -> Result<Json> {
        self.run(&format!("return {expression}"), json!([])).await
    }

    /// The same as a text.
    ///
    /// # Errors
    /// If it throws, or is no text.
    pub async fn text(&self, expression: &str) -> Result<String> {
        let value = self.get(expression).await?;
        let text = value.as_str().ok_or_else(|| format!("`{expression}` is {value}"))?;
        Ok(text.to_owned())
    }

    /// Waits until an expression holds.
    ///
    /// # Errors
    /// If it never does, with what it was last and what the page shows.
    pub async fn until(&self, expression: &str) -> Result {
        let start = Instant::now();
        loop {
            // It may throw as long as what it asks for is not there.
            let last = match self.get(expression).await {
                Ok(Json::Bool(true)) => return Ok(()),
                Ok(value) => value.to_string(),
                Err(error) => error.to_string(),
            };
            if start.elapsed() > PATIENCE {
                let shown = self.get("document.body.innerText").await?;
                let shown = shown.as_str().unwrap_or_default();
                let error = format!("waited in vain for {expression}: {last}\n{shown}");
                return Err(error.into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Clicks on the element of a selector as a mouse does: what covers it is clicked on instead,
    /// and that is an error.
    ///
    /// # Errors
    /// If there is none, or it cannot be clicked on.
    pub async fn click(&self, selector: &str) -> Result {
        let told = |error| format!("a click on `{selector}`: {error}");
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.call("element", wanted).await.map_err(told)?;
        let id = found[ELEMENT].as_str().ok_or("an element without an id")?;
        let path = format!("element/{id}/click");
        Ok(self.call(&path, json!({})).await.map(drop).map_err(told)?)
    }

    /// Presses keys, one after the other. Shift is held until the end.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub async fn keys(&self, keys: &str) -> Result {
        let shift = '\u{e008}';
        let mut actions = Vec::new();
        for key in keys.chars() {
            actions.push(json!({"type": "keyDown", "value": key}));
            if key != shift {
                actions.push(json!({"type": "keyUp", "value": key}));
            }
        }
        if keys.contains(shift) {
            actions.push(json!({"type": "keyUp", "value": shift}));
        }
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.call("actions", json!({ "actions": [keyboard] })).await.map(drop)
    }

    /// Sends a command of the DevTools protocol.
    ///
    /// # Errors
    /// If the browser refuses it.
    pub async fn devtools(&self, command: &str, parameters: Json) -> Result<Json> {
        let body = json!({"cmd": command, "params": parameters});
        let answer = self.call("goog/cdp/execute", body).await;
        answer.map_err(|error| format!("{command}: {error}").into())
    }

    /// Gives the page another size, in CSS pixels.
    ///
    /// # Errors
    /// If the browser refuses it.
    pub async fn resize(&self, width: u32, height: u32) -> Result {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await.map(drop)
    }

    /// Makes the system's theme `light` or `dark`, without movement.
    ///
    /// # Errors
    /// If the browser refuses it.
    pub async fn theme(&self, theme: &str) -> Result {
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.devtools("Emulation.setEmulatedMedia", features).await.map(drop)
    }

    /// What the console said since this was last asked.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub async fn console(&self) -> Result<Vec<String>> {
        let said = self.call("se/log", json!({"type": "browser"})).await?;
        let lines = said.as_array().ok_or("the console is no list")?;
        Ok(lines.iter().map(|line| format!("{}: {}", line["level"], line["message"])).collect())
    }

    /// A picture of the whole page, as PNG.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub async fn picture(&self) -> Result<Vec<u8>> {
        let wanted = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.devtools("Page.captureScreenshot", wanted).await?;
        Ok(BASE64_STANDARD.decode(picture["data"].as_str().ok_or("there is no picture")?)?)
    }
}
