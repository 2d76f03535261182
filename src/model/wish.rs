//! What a person asks for by an inbound message.

use super::report::Wish;

/// Reads the wish in the text of an inbound message: one of the words that carriers and providers take for an opt-out or
/// an opt-in, alone, in any case, with spaces or punctuation around it (CTIA's Messaging Principles, section 5.1.3; the
/// default words of Twilio and Bandwidth; `ARRET` by Canada's carriers).
pub fn read(text: &str) -> Option<Wish> {
    let word = text
        .trim_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation() || c.is_control());
    if word.len() > 16 {
        return None;
    }
    Some(match word.to_uppercase().as_str() {
        "STOP" | "STOPALL" | "STOP ALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE"
        | "OPTOUT" | "OPT OUT" | "OPT-OUT" | "ARRET" | "ARRÊT" => Wish::Stop,
        "START" | "YES" | "UNSTOP" => Wish::Start,
        "HELP" | "INFO" => Wish::Help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A person who says STOP must not hear from us again, and one who says "don't stop" must.
    #[test]
    fn a_word_alone_is_a_wish_and_a_word_among_others_is_not() {
        for stop in [
            "STOP",
            "stop",
            " Stop. ",
            "\"STOP\"",
            "StopAll",
            "unsubscribe\n",
            "CANCEL",
            "end",
            "Quit!",
            "opt-out",
            "arrêt",
        ] {
            assert_eq!(read(stop), Some(Wish::Stop), "{stop:?}");
        }
        for start in ["START", "yes", "Unstop"] {
            assert_eq!(read(start), Some(Wish::Start), "{start:?}");
        }
        for help in ["HELP", "info?"] {
            assert_eq!(read(help), Some(Wish::Help), "{help:?}");
        }
        for none in [
            "",
            "please stop",
            "STOP 1",
            "nonstop",
            "STOPP",
            "the end",
            "yes please",
        ] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }
}
