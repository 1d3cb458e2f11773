//! HTML in the making.

/// Pieces of HTML, and text between them.
#[derive(Debug, Default)]
pub(super) struct Html(pub(super) String);

impl Html {
    pub(super) fn raw(&mut self, html: &str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    /// Text that means nothing to a browser.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(character),
            }
        }
        self
    }
}

/// Puts pieces into a page in place of comments like `<!--name-->`. A comment that `piece` has
/// nothing for stays what it is.
pub(super) fn fill(page: &str, piece: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(page.len() * 2);
    let mut parts = page.split("<!--");
    filled.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let found = part.split_once("-->").and_then(|(name, rest)| Some((piece(name)?, rest)));
        match found {
            Some((piece, rest)) => {
                filled.push_str(&piece);
                filled.push_str(rest);
            }
            None => {
                filled.push_str("<!--");
                filled.push_str(part);
            }
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_means_nothing_to_a_browser() {
        let mut html = Html::default();
        html.raw("<b>").text("<script>\"'&").raw("</b>");
        assert_eq!(html.0, "<b>&lt;script&gt;&quot;&#39;&amp;</b>");
    }

    #[test]
    fn pieces_take_the_place_of_comments() {
        let piece = |name: &str| (name == "a").then(|| "<!--b-->".to_owned());
        assert_eq!(fill("x<!--a-->y<!-- note --><!--a", piece), "x<!--b-->y<!-- note --><!--a");
    }
}
