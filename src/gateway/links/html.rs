//! Links in HTML → links of ours, and a pixel at its end. Everything else stays byte for byte.
//!
//! The HTML is read by a tokenizer that follows the standard (`html5gum`: one crate, without unsafe code), and only the
//! values of `href` are written over, by what needs no quoting.

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

/// An attribute of a link that is to be left as it is: `data-track="off"`.
const OPT_OUT: &str = "data-track";

/// A place in the text, and what is to stand there.
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

/// A link under way.
#[derive(Default)]
struct Anchor {
    /// Of which attribute the value comes next.
    attribute: Vec<u8>,
    /// The value of its first `href`, and where it stands.
    href: Option<(Vec<u8>, Span<usize>)>,
    has_href: bool,
    opts_out: bool,
}

/// What the tokenizer finds.
enum Found {
    Link(Vec<u8>, Span<usize>),
    EndOfBody(Span<usize>),
}

/// `html` with `link` in the place of each URL of a link for which it is not `None`, and `pixel` at the end of the body.
/// Links are `a` and `area` with an `http` or `https` URL; what is in comments, scripts and styles is none.
pub(super) fn rewrite(
    html: &str,
    mut link: impl FnMut(&str) -> Option<String>,
    pixel: Option<&str>,
) -> String {
    let mut edits = Vec::new();
    let mut end_of_body = html.len();
    for found in find(html) {
        match found {
            Found::Link(value, span) => {
                let Some(ours) = url_in(&value).and_then(&mut link) else {
                    continue;
                };
                // What does not stand where it is said to stand is left alone.
                if html
                    .get(span.start..span.end)
                    .is_some_and(|raw| is_value(raw, &value))
                {
                    edits.push(Edit {
                        start: span.start,
                        end: span.end,
                        text: ours,
                    });
                }
            }
            Found::EndOfBody(span)
                if html
                    .get(span.start..)
                    .is_some_and(|end| end.starts_with("</")) =>
            {
                end_of_body = span.start;
            }
            Found::EndOfBody(_) => {}
        }
    }
    if let Some(pixel) = pixel {
        let image = format!(
            "<img src=\"{pixel}\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0;width:1px;height:1px\">"
        );
        edits.push(Edit {
            start: end_of_body,
            end: end_of_body,
            text: image,
        });
    }
    edits.sort_by_key(|edit| edit.start);
    let mut rewritten = String::with_capacity(html.len() + edits.len() * 256);
    let mut at = 0;
    for edit in edits {
        if edit.start < at {
            continue;
        }
        rewritten.push_str(&html[at..edit.start]);
        rewritten.push_str(&edit.text);
        at = edit.end;
    }
    rewritten.push_str(&html[at..]);
    rewritten
}

fn find(html: &str) -> Vec<Found> {
    let mut anchor: Option<Anchor> = None;
    let callback = move |event: CallbackEvent<'_>, span: Span<usize>| match event {
        CallbackEvent::OpenStartTag { name } => {
            anchor = matches!(name, b"a" | b"area").then(Anchor::default);
            None
        }
        CallbackEvent::AttributeName { name } => {
            if let Some(anchor) = &mut anchor {
                anchor.attribute = name.to_vec();
            }
            None
        }
        CallbackEvent::AttributeValue { value } => {
            if let Some(anchor) = &mut anchor {
                match anchor.attribute.as_slice() {
                    // Of two attributes of one name, the first counts.
                    b"href" if !anchor.has_href => {
                        anchor.has_href = true;
                        anchor.href = Some((value.to_vec(), span));
                    }
                    name if name == OPT_OUT.as_bytes() => {
                        anchor.opts_out |= value.eq_ignore_ascii_case(b"off");
                    }
                    _ => {}
                }
            }
            None
        }
        CallbackEvent::CloseStartTag { .. } => {
            let anchor = anchor.take()?;
            let (value, span) = anchor.href.filter(|_| !anchor.opts_out)?;
            Some(Found::Link(value, span))
        }
        CallbackEvent::EndTag { name } => {
            anchor = None;
            (name == b"body").then_some(Found::EndOfBody(span))
        }
        _ => None,
    };
    let mut emitter = CallbackEmitter::new(callback);
    emitter.naively_switch_states(true); // scripts and styles are no HTML
    let Ok(found) = Tokenizer::new_with_emitter(html, emitter).collect::<Result<Vec<_>, _>>();
    found
}

/// The URL of a link that leads into the Web.
fn url_in(value: &[u8]) -> Option<&str> {
    let url = str::from_utf8(value)
        .ok()?
        .trim_matches([' ', '\t', '\n', '\r', '\u{c}']);
    let is_web = ["http://", "https://"].iter().any(|scheme| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    (is_web && !url.contains(char::is_control)).then_some(url)
}

/// Whether `raw` is how `value` is written: the same, or the same but for character references and line ends.
fn is_value(raw: &str, value: &[u8]) -> bool {
    raw.as_bytes() == value
        || (raw.contains(['&', '\r', '\0']) && !raw.contains(['"', '\'', '<', '>']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewritten(html: &str) -> String {
        rewrite(html, |url| Some(format!("[{}]", url.to_uppercase())), None)
    }

    /// Each way in which a link may be written.
    #[test]
    fn links_are_rewritten_however_they_are_written() {
        for (html, expected) in [
            (
                r#"<a href="http://x.org/">"#,
                r#"<a href="[HTTP://X.ORG/]">"#,
            ),
            (
                r#"<a href='https://x.org/'>"#,
                r#"<a href='[HTTPS://X.ORG/]'>"#,
            ),
            (
                "<a href=https://x.org/>t</a>",
                "<a href=[HTTPS://X.ORG/]>t</a>",
            ),
            (
                "<a href=https://x.org/ class=b>",
                "<a href=[HTTPS://X.ORG/] class=b>",
            ),
            (
                "<A\n HREF = \"HTTPS://x.org\" >",
                "<A\n HREF = \"[HTTPS://X.ORG]\" >",
            ),
            (
                r#"<a class="b" href="http://x.org" id=c>"#,
                r#"<a class="b" href="[HTTP://X.ORG]" id=c>"#,
            ),
            (
                r#"<area href="http://x.org" />"#,
                r#"<area href="[HTTP://X.ORG]" />"#,
            ),
            (
                r#"<a href="http://x.org/?a=1&amp;b=2">"#,
                r#"<a href="[HTTP://X.ORG/?A=1&B=2]">"#,
            ),
            (
                r#"<a href=" http://x.org ">"#,
                r#"<a href="[HTTP://X.ORG]">"#,
            ),
            (
                r#"<a href="http://x.org/ü">ü</a>"#,
                r#"<a href="[HTTP://X.ORG/Ü]">ü</a>"#,
            ),
            (
                r#"<p>ü <a href="http://a.org">1</a>, <a href="http://b.org">2</a>"#,
                r#"<p>ü <a href="[HTTP://A.ORG]">1</a>, <a href="[HTTP://B.ORG]">2</a>"#,
            ),
            (
                r#"<a href="http://a.org" href="http://b.org">"#,
                r#"<a href="[HTTP://A.ORG]" href="http://b.org">"#,
            ),
        ] {
            assert_eq!(rewritten(html), expected);
        }
    }

    /// A link that worked before must work after.
    #[test]
    fn everything_else_stays_as_it_is() {
        for html in [
            "",
            "no html at all",
            r##"<a href="#top">"##,
            r#"<a href="mailto:a@x.org">"#,
            r#"<a href="tel:+1">"#,
            r#"<a href="/relative">"#,
            r#"<a href="//x.org">"#,
            r#"<a href="javascript:alert(1)">"#,
            r#"<a href="cid:1">"#,
            "<a href>",
            "<a href=\"\">",
            "<a>",
            r#"<link href="http://x.org/a.css">"#,
            r#"<base href="http://x.org/">"#,
            r#"<img src="http://x.org/a.png">"#,
            r#"<form action="http://x.org">"#,
            r#"<a href="http://x.org" data-track="off">"#,
            r#"<a data-track=OFF href="http://x.org">"#,
            r#"<!-- <a href="http://x.org"> -->"#,
            r#"<!--[if mso]><a href="http://x.org"><![endif]-->"#,
            r#"<script>"<a href='http://x.org'>"</script>"#,
            r#"<style>a[href="http://x.org"]{}</style>"#,
            r#"<title><a href="http://x.org"></title>"#,
            r#"<p title="<a href='http://x.org'>">"#,
            r#"</a href="http://x.org">"#,
            r#"<a href="http://x.org"#,
            "<a href=\"http://x.org/\u{1}\">",
        ] {
            assert_eq!(rewritten(html), html);
        }
    }

    /// Clients show nothing that comes after the body, and some nothing before it.
    #[test]
    fn the_pixel_is_the_last_thing_in_the_body() {
        let with = |html| rewrite(html, |_| None, Some("https://p/o/t"));
        let pixel = "<img src=\"https://p/o/t\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0;width:1px;height:1px\">";
        assert_eq!(with("<p>x"), format!("<p>x{pixel}"));
        assert_eq!(
            with("<html><body>ü</BODY ></html>"),
            format!("<html><body>ü{pixel}</BODY ></html>")
        );
        let commented = "<body>x<!-- </body> -->";
        assert_eq!(with(commented), format!("{commented}{pixel}"));
    }

    proptest! {
        /// Whatever a caller sends as HTML, nothing but links changes.
        #[test]
        fn any_text_survives(html in "(<a href=|\"|'|http://x\\.org|>|<|&amp;|</body>|<!--|-->|<script>|[a-zü \\r\\n\\x00]{0,4}){0,40}") {
            prop_assert_eq!(&rewrite(&html, |_| None, None), &html);
            let marked = rewrite(&html, |url| Some(url.to_owned() + "#"), None);
            prop_assert!(marked.len() >= html.len().saturating_sub(html.matches("&amp;").count() * 4 + html.matches([' ', '\r', '\n']).count()));
        }
    }
}
