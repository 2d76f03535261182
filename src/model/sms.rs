//! How a text becomes short messages: the alphabet it needs and the parts it takes (3GPP TS 23.038 and 23.040).
//!
//! Providers bill by the part, and each part can be lost on its own.

/// The alphabet that a whole text goes out in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// The GSM 7-bit default alphabet with its extension table (3GPP TS 23.038, section 6.2.1).
    Gsm7,
    /// 16-bit units, because of one character at least that GSM-7 does not have. Sent as UTF-16.
    Ucs2,
}

/// What a text takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Its alphabet.
    pub alphabet: Alphabet,
    /// Its length: septets for [`Alphabet::Gsm7`], UTF-16 units for [`Alphabet::Ucs2`].
    pub units: usize,
    /// How many parts are sent and billed; 1 for an empty text.
    pub count: usize,
}

/// Counts the parts of `text`.
///
/// A text that fits goes out as one part of 160 septets or 70 UTF-16 units. A longer one is cut into parts of 153
/// or 67, since 6 of the 140 octets say which part it is (3GPP TS 23.040, section 9.2.3.24.1); neither an
/// extension character (two septets) nor a surrogate pair is cut in two, which leaves a unit unused.
pub fn segments(text: &str) -> Segments {
    let gsm7: Option<Vec<usize>> = text.chars().map(septets).collect();
    let (alphabet, widths, single, part) = match gsm7 {
        Some(widths) => (Alphabet::Gsm7, widths, 160, 153),
        None => {
            let widths = text.chars().map(char::len_utf16).collect();
            (Alphabet::Ucs2, widths, 70, 67)
        }
    };
    let units = widths.iter().sum();
    let count = if units <= single {
        1
    } else {
        parts(&widths, part)
    };
    Segments {
        alphabet,
        units,
        count,
    }
}

/// How many parts of `size` units hold characters of these widths, none of which may be cut in two.
fn parts(widths: &[usize], size: usize) -> usize {
    let (mut count, mut used) = (1, 0);
    for width in widths {
        if used + width > size {
            count += 1;
            used = 0;
        }
        used += width;
    }
    count
}

/// What a character takes in GSM-7; none when it is not there.
fn septets(c: char) -> Option<usize> {
    match c {
        '\u{c}' | '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' => Some(2),
        '\n' | '\r' | ' '..='_' | 'a'..='z' => Some(1), // of ASCII only the backtick is missing
        '£' | '¥' | 'è' | 'é' | 'ù' | 'ì' | 'ò' | 'Ç' | 'Ø' | 'ø' | 'Å' | 'å' | 'Δ' | 'Φ' | 'Γ'
        | 'Λ' | 'Ω' | 'Π' | 'Ψ' | 'Σ' | 'Θ' | 'Ξ' | 'Æ' | 'æ' | 'ß' | 'É' | '¤' | '¡' | 'Ä'
        | 'Ö' | 'Ñ' | 'Ü' | '§' | '¿' | 'ä' | 'ö' | 'ñ' | 'ü' | 'à' => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> (Alphabet, usize, usize) {
        let Segments {
            alphabet,
            units,
            count,
        } = segments(text);
        (alphabet, units, count)
    }

    /// The limits that providers bill by, one on each side.
    #[test]
    fn a_text_is_one_part_up_to_its_limit_and_shorter_parts_beyond() {
        use Alphabet::{Gsm7, Ucs2};
        assert_eq!(shape(""), (Gsm7, 0, 1));
        for (length, count) in [(160, 1), (161, 2), (306, 2), (307, 3), (459, 3), (460, 4)] {
            assert_eq!(shape(&"a".repeat(length)), (Gsm7, length, count));
        }
        for (length, count) in [(70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4)] {
            assert_eq!(shape(&"я".repeat(length)), (Ucs2, length, count));
        }
    }

    /// One typographic quote makes a message more than twice as dear.
    #[test]
    fn one_other_character_turns_the_whole_text_to_ucs2() {
        for inside in [
            "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?",
            "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
        ] {
            let expected = (Alphabet::Gsm7, inside.chars().count(), 1);
            assert_eq!(shape(inside), expected);
        }
        for outside in ["`", "ç", "’", "\t", "á", "\u{1b}", "\u{7f}", "漢"] {
            assert_eq!(segments(outside).alphabet, Alphabet::Ucs2, "{outside:?}");
        }
    }

    /// They are sent as an escape and a character, which must arrive in the same part.
    #[test]
    fn an_extension_character_takes_two_septets_and_is_not_cut() {
        assert_eq!(shape("^{}\\[~]|€\u{c}"), (Alphabet::Gsm7, 20, 1));
        assert_eq!(shape(&"€".repeat(80)), (Alphabet::Gsm7, 160, 1));
        // 153 is odd: a part takes 76 of them and leaves a septet unused.
        assert_eq!(shape(&"€".repeat(152)), (Alphabet::Gsm7, 304, 2));
        assert_eq!(shape(&"€".repeat(153)), (Alphabet::Gsm7, 306, 3));
        let split = format!("{}€{}", "a".repeat(152), "a".repeat(152));
        assert_eq!(shape(&split), (Alphabet::Gsm7, 306, 3));
    }

    /// Half a surrogate pair is no character on either phone.
    #[test]
    fn a_surrogate_pair_takes_two_units_and_is_not_cut() {
        assert_eq!(shape(&"🚨".repeat(35)), (Alphabet::Ucs2, 70, 1));
        // 67 is odd: a part takes 33 of them.
        assert_eq!(shape(&"🚨".repeat(66)), (Alphabet::Ucs2, 132, 2));
        assert_eq!(shape(&"🚨".repeat(67)), (Alphabet::Ucs2, 134, 3));
    }

    /// Line ends count as they are written.
    #[test]
    fn a_line_end_of_two_characters_counts_two() {
        assert_eq!(shape("a\r\nb"), (Alphabet::Gsm7, 4, 1));
        assert_eq!(shape("я\r\nя"), (Alphabet::Ucs2, 4, 1));
    }
}
