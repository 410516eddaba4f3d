//! Pieces of HTML.

/// The text without characters that belong in no page.
pub(crate) fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}")
}

/// JSON as it stands in a script element: nothing in it can end the element.
pub(crate) fn script_json(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// A picture as an address that holds it.
pub(crate) fn picture_address(kind: PictureKind, bytes: &[u8]) -> String {
    let kind = match kind {
        PictureKind::Png => "png",
        PictureKind::Jpeg => "jpeg",
    };
    format!("data:image/{kind};base64,{}", base64(bytes))
}

/// What a picture on a page is packed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PictureKind {
    Png,
    Jpeg,
}

/// Base64 (RFC 4648).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for k in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * k)) as usize & 63];
            text.push(if k > chunk.len() { '=' } else { digit as char });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_what_it_stands_in() {
        assert_eq!(printable("a\tb\n\u{7}"), "a\tb\n\u{fffd}");
        let text = maud::html! { p title=("<a href=\"x\">&") { ("<a href=\"x\">&") } }.into_string();
        assert_eq!(text.matches("&lt;a href=&quot;x&quot;&gt;&amp;").count(), 2, "{text}");
        assert_eq!(script_json(r#"{"a":"</script>"}"#), r#"{"a":"\u003c/script>"}"#);
    }

    #[test]
    fn base64_has_the_values_of_the_rfc() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ];
        for (text, expected) in pairs {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
