//! What the panel is made of, beside the page itself. It is part of the program.

use std::hash::{DefaultHasher, Hash, Hasher};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{HeaderMap, StatusCode};
use warp::reject::not_found;
use warp::reply::Response;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file: its name, what it is, and what is in it.
type Asset = (&'static str, &'static str, &'static str);

const ASSETS: &[Asset] = &[
    ("icon.svg", "image/svg+xml", include_str!("../../assets/icon.svg")),
    ("login.css", STYLE, include_str!("../../assets/login.css")),
    ("base.css", STYLE, include_str!("../../assets/base.css")),
    ("panel.css", STYLE, include_str!("../../assets/panel.css")),
    ("dialogs.css", STYLE, include_str!("../../assets/dialogs.css")),
    ("narrow.css", STYLE, include_str!("../../assets/narrow.css")),
    ("theme.js", SCRIPT, include_str!("../../assets/theme.js")),
    ("panel.js", SCRIPT, include_str!("../../assets/panel.js")),
    ("dialogs.js", SCRIPT, include_str!("../../assets/dialogs.js")),
    ("events.js", SCRIPT, include_str!("../../assets/events.js")),
    ("columns.js", SCRIPT, include_str!("../../assets/columns.js")),
    ("connection.js", SCRIPT, include_str!("../../assets/connection.js")),
    ("deeds.js", SCRIPT, include_str!("../../assets/deeds.js")),
    ("filters.js", SCRIPT, include_str!("../../assets/filters.js")),
    ("focus.js", SCRIPT, include_str!("../../assets/focus.js")),
    ("marks.js", SCRIPT, include_str!("../../assets/marks.js")),
    ("summary.js", SCRIPT, include_str!("../../assets/summary.js")),
    ("live.js", SCRIPT, include_str!("../../assets/live.js")),
    ("session.js", SCRIPT, include_str!("../../assets/session.js")),
    ("tables.js", SCRIPT, include_str!("../../assets/tables.js")),
    ("time.js", SCRIPT, include_str!("../../assets/time.js")),
];

pub(super) fn routes() -> BoxedFilter<(Response,)> {
    warp::path!("assets" / String)
        .and(warp::get().or(warp::head()).unify())
        .and(warp::header::headers_cloned())
        .and_then(async |name: String, headers: HeaderMap| {
            let asset = ASSETS.iter().find(|(known, ..)| *known == name).ok_or_else(not_found)?;
            Ok::<_, warp::Rejection>(send(asset, &headers))
        })
        .boxed()
}

/// The file, or that the browser has it already. It asks every time, so that a new version of the
/// program is never mixed with an old page.
fn send((_, kind, content): &Asset, headers: &HeaderMap) -> Response {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let is_known =
        headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new((*content).into())
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_the_page_and_its_parts_name_is_there() {
        let page = concat!(
            include_str!("../../assets/panel.html"),
            include_str!("../../assets/login.html")
        );
        let names = page.split("\"assets/").skip(1).filter_map(|rest| rest.split('"').next());
        let imports = ASSETS.iter().flat_map(|(_, _, content)| {
            content.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next())
        });
        let mut found = 0;
        for name in names.chain(imports) {
            assert!(ASSETS.iter().any(|(known, ..)| *known == name), "{name} is missing");
            found += 1;
        }
        assert!(found > ASSETS.len(), "{found}");
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        let page = ("panel.html", "", include_str!("../../assets/panel.html"));
        for (name, _, content) in ASSETS.iter().chain([&page]) {
            let content = content.replace("http://www.w3.org/2000/svg", "");
            for foreign in ["http://", "https://", "url(", "@import", " style=", " onclick="] {
                assert!(!content.contains(foreign), "{name} has {foreign}");
            }
        }
    }
}
