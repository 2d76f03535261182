//! What the messages hold: one kilobyte each.

/// Bytes of content a message.
pub(crate) const SIZE: usize = 1024;

const WORDS: &str = "Ada the post road runs from the sea to the hills and every letter on it finds its door in time ";

/// So many bytes of text.
pub(crate) fn text(length: usize) -> String {
    WORDS.chars().cycle().take(length).collect()
}

/// What stands for the recipient's number in [`data_template`]; as long as what replaces it.
pub(crate) const NUMBER: &str = "NNNNNNNN";

/// [`SIZE`] bytes of JSON as a campaign carries for each recipient: a few short fields, a few paragraphs.
pub(crate) fn data_template() -> String {
    let start = format!(
        r#"{{"name":"Ada {NUMBER}","city":"Porto","plan":"annual","code":"{NUMBER}","link":"https://example.org/c/{NUMBER}""#
    );
    let paragraphs = 4;
    let keys = paragraphs * r#","p1":"""#.len() + "}".len();
    let each = (SIZE - start.len() - keys) / paragraphs;
    let mut data = start;
    for nth in 1..=paragraphs {
        let length = match nth == paragraphs {
            true => SIZE - data.len() - r#","p1":""}"#.len(),
            false => each,
        };
        data.push_str(&format!(r#","p{nth}":"{}""#, text(length)));
    }
    data.push('}');
    data
}

/// Recipients `from`, `from + 1` … as `enqueue_bulk` takes them.
pub(crate) fn recipients(from: usize, count: usize) -> String {
    let template = data_template();
    let mut json = String::with_capacity(count * (SIZE + 80));
    for n in from..from + count {
        json.push(if n == from { '[' } else { ',' });
        let number = format!("{n:08}");
        json.push_str(&format!(
            r#"{{"address":"user{number}@example.org","id":{n},"data":{}}}"#,
            template.replace(NUMBER, &number)
        ));
    }
    json.push(']');
    json
}
