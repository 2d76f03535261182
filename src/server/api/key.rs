//! API keys: `pr_live_`, 43 random letters and digits, and six digits that show a typing error.

use ring::digest::{SHA256, digest};

const PREFIX: &str = "pr_live_";
const SECRET_LEN: usize = 43;
const CHECK_LEN: usize = 6;

/// Whether a text may be a key at all: what is not needs no look into the database. See `postroad.create_api_key`.
pub(super) fn is_well_formed(key: &str) -> bool {
    let Some(rest) = key.strip_prefix(PREFIX) else {
        return false;
    };
    if rest.len() != SECRET_LEN + CHECK_LEN || !rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return false;
    }
    let (secret, check) = rest.split_at(SECRET_LEN);
    let sum = digest(&SHA256, format!("postroad{secret}").as_bytes());
    let sum: String = sum
        .as_ref()
        .iter()
        .take(CHECK_LEN / 2)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    sum == check
}

/// Under what a key, or a token, is known: nothing keeps the thing itself.
pub(super) fn hash(key: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flood of made up keys must not become a flood of questions to the database.
    #[test]
    fn a_key_with_a_typing_error_is_told_without_the_database() {
        let secret = "aZq9lS5GqTieUJrhDsXBGhbGxVS9KMFFoTEajf2SPT9";
        let key = format!("pr_live_{secret}4b92d6");
        assert!(is_well_formed(&key), "as Postgres made it");
        for wrong in [
            key.replacen('a', "b", 1),
            key.replacen("pr_live_", "pr_test_", 1),
            key[..key.len() - 1].to_owned(),
            format!("{key}0"),
            key.replacen("4b92d6", "4b92d7", 1),
            key.replacen('Z', "-", 1),
            String::new(),
        ] {
            assert!(!is_well_formed(&wrong), "{wrong}");
        }
    }
}
