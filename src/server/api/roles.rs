//! What a caller may do.

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles(u8);

impl Roles {
    /// None of them.
    pub(super) const NONE: Self = Self(0);

    /// In the order of their bits; the words that `api_routes` and keys use.
    const NAMES: [&'static str; 4] = ["sender", "reader", "admin", "webhook"];

    /// The roles that have these names; others are nothing to us.
    pub(super) fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let bits = names
            .into_iter()
            .filter_map(|name| Self::NAMES.iter().position(|known| *known == name))
            .fold(0, |bits, place| bits | 1 << place);
        Self(bits)
    }

    /// Whether one of them is in both.
    pub(super) fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = Self::NAMES.iter().enumerate();
        let names = names.filter(|(place, _)| self.0 & 1 << place != 0);
        let names: Vec<_> = names.map(|(_, name)| *name).collect();
        f.write_str(&names.join(" or "))
    }
}
