//! What is said in a call, as TwiML.

/// `text`, to be spoken once, in `language` and by `voice`.
///
/// Whatever the text is, it stays text: XML's own characters are escaped, and what XML 1.0 cannot hold at all
/// (section 2.2) becomes a space, since one such character would make the call end in silence.
pub(super) fn say(text: &str, language: &str, voice: Option<&str>) -> String {
    let mut twiml = String::with_capacity(text.len() + 80);
    twiml.push_str("<Response><Say language=\"");
    escape(language, &mut twiml);
    if let Some(voice) = voice {
        twiml.push_str("\" voice=\"");
        escape(voice, &mut twiml);
    }
    twiml.push_str("\">");
    escape(text, &mut twiml);
    twiml.push_str("</Say></Response>");
    twiml
}

fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&apos;"),
            '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => {
                into.push(c);
            }
            _ => into.push(' '),
        }
    }
}

/// A language tag for `<Say>` from a tag or a locale: `fr_CA.UTF-8` is `fr-CA`, and `fr` is `fr-FR`, since Twilio wants
/// a region. None when it is neither.
pub(super) fn language_tag(locale: &str) -> Option<String> {
    let tag = locale.split(['.', '@']).next()?.replace('_', "-");
    let mut parts = tag.split('-');
    let language = parts.next()?.to_ascii_lowercase();
    let is_word = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if !is_word(&language, 2..=3) || !parts.clone().all(|part| is_word(part, 2..=8)) {
        return None;
    }
    let region: Vec<String> = parts
        .map(|part| match part.len() {
            2 => part.to_ascii_uppercase(),
            _ => part.to_owned(),
        })
        .collect();
    if region.is_empty() {
        return Some(match main_region(&language) {
            Some(region) => format!("{language}-{region}"),
            None => language,
        });
    }
    Some(format!("{language}-{}", region.join("-")))
}

/// Where a language that Twilio's basic voices speak is at home.
fn main_region(language: &str) -> Option<&'static str> {
    Some(match language {
        "ca" => "ES",
        "da" => "DK",
        "de" => "DE",
        "en" => "US",
        "es" => "ES",
        "fi" => "FI",
        "fr" => "FR",
        "it" => "IT",
        "ja" => "JP",
        "ko" => "KR",
        "nb" => "NO",
        "nl" => "NL",
        "pl" => "PL",
        "pt" => "PT",
        "ru" => "RU",
        "sv" => "SE",
        "zh" => "CN",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text that could close its element could dial a number at our cost.
    #[test]
    fn text_and_attributes_stay_text() {
        assert_eq!(
            say("Fire & <b>\"smoke\"</b>", "en-US", None),
            "<Response><Say language=\"en-US\">Fire &amp; &lt;b&gt;&quot;smoke&quot;&lt;/b&gt;</Say></Response>"
        );
        let hostile = "</Say><Dial>+1900</Dial><Say x='";
        let twiml = say(hostile, hostile, Some("\"><Dial>"));
        assert_eq!(twiml.matches('<').count(), 4, "{twiml}");
        assert_eq!(twiml.matches('"').count(), 4, "{twiml}");
    }

    /// TwiML that cannot be parsed is a call in which nothing is said.
    #[test]
    fn what_xml_cannot_hold_becomes_a_space() {
        assert_eq!(
            say("a\0b\u{1b}c\u{ffff}d\te🚨", "en-US", Some("alice")),
            "<Response><Say language=\"en-US\" voice=\"alice\">a b c d\te🚨</Say></Response>"
        );
    }

    /// Applications have locales, Twilio has tags with a region.
    #[test]
    fn a_locale_becomes_a_language_tag() {
        for (locale, tag) in [
            ("fr", "fr-FR"),
            ("en", "en-US"),
            ("fr_CA", "fr-CA"),
            ("pt-br", "pt-BR"),
            ("DE", "de-DE"),
            ("de_AT.UTF-8", "de-AT"),
            ("zh-Hant-TW", "zh-Hant-TW"),
            ("arb", "arb"),
        ] {
            assert_eq!(language_tag(locale).as_deref(), Some(tag));
        }
        for nothing in ["", "C", "POSIX", "fr-", "français", "en-US\"", "-"] {
            assert_eq!(language_tag(nothing), None, "{nothing}");
        }
    }
}
