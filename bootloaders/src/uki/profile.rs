//! Profiles: variants of an image that share what they do not override.

use std::fmt::Write as _;

use super::os_release::{field, needs_escapes, quoted};
use crate::error::Error;
use crate::line::Line;

/// The marker of a first profile without a name. A section must not be empty.
const NAMELESS: &str = "# The image itself.\n";

/// What a `.profile` section says: the name by which a profile is chosen
/// (`image.efi@id`), and what menus call it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Profile {
    id: String,
    title: Option<Line>,
}

impl Profile {
    /// A profile.
    ///
    /// # Errors
    /// When the name is empty or holds anything but ASCII letters, digits and `.-_`:
    /// it becomes part of the names of entries. When the title holds what cannot
    /// stand in quotes.
    pub fn new(id: &str, title: Option<Line>) -> Result<Self, Error> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if id.is_empty() || !id.bytes().all(is_plain) {
            return Err(Error::Line {
                text: id.to_owned(),
                reason: "is no name of a profile: letters, digits and `.-_` are allowed",
            });
        }
        // systemd-boot takes quotes off and undoes no escapes.
        let unquotable = |title: &Line| needs_escapes(title.as_str());
        if let Some(title) = title.as_ref().filter(|title| unquotable(title)) {
            return Err(Error::Line {
                text: title.to_string(),
                reason: "has a `'`, and so a title cannot have any of \"\\$`",
            });
        }
        Ok(Self {
            id: id.to_owned(),
            title,
        })
    }

    /// The profile of a specialisation: menus show its name behind the title of the
    /// system, in parentheses.
    ///
    /// systemd-boot compares what is asked for in lower case with the name as it is
    /// written, so everything but lower-case letters, digits, `.` and `-` is escaped, as
    /// in [`crate::entry_name()`]. Two specialisations never share a name.
    #[must_use]
    pub fn of_specialisation(name: &str) -> Self {
        let mut id = String::new();
        for byte in name.bytes() {
            if byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte) {
                id.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(id, "_{byte:02x}");
            }
        }
        if id.is_empty() {
            id.push('_');
        }
        let title = Line::new(name).ok();
        let nameless = Self {
            id: id.clone(),
            title: None,
        };
        Self::new(&id, title).unwrap_or(nameless)
    }

    /// The profile that is there when none is asked for.
    #[must_use]
    pub fn main() -> Self {
        Self {
            id: "main".to_owned(),
            title: None,
        }
    }

    /// The name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The text of the section.
    #[must_use]
    pub fn render(&self) -> String {
        let id = &self.id;
        match &self.title {
            Some(title) => format!("ID={id}\nTITLE={}\n", always_quoted(title)),
            None => format!("ID={id}\n"),
        }
    }
}

/// The first profile of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FirstProfile {
    /// Marked as `main` where there are others, and not marked where there are none.
    #[default]
    Usual,
    /// With this name.
    Named(Profile),
    /// Without a name where there are others: menus show the title of the image alone,
    /// and its file name is what starts it.
    Nameless,
}

impl FirstProfile {
    /// The text of its section, if it gets one, and its name.
    pub(super) fn marker(self, is_only: bool) -> Option<(String, Option<String>)> {
        let named = |profile: Profile| Some((profile.render(), Some(profile.id)));
        match self {
            Self::Named(profile) => named(profile),
            Self::Usual | Self::Nameless if is_only => None,
            Self::Usual => named(Profile::main()),
            Self::Nameless => Some((NAMELESS.to_owned(), None)),
        }
    }
}

/// What the text of a `.profile` section says: a name and a title.
#[must_use]
pub fn read(text: &str) -> (Option<String>, Option<String>) {
    (field(text, "ID"), field(text, "TITLE"))
}

/// Titles are in quotes even where they need none, as in examples of the specification.
fn always_quoted(title: &Line) -> String {
    let text = quoted(title.as_str());
    if text.starts_with(['"', '\'']) {
        text
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn specialisations_are_profiles_that_can_be_asked_for() {
        for (name, text) in [
            ("gnome", "ID=gnome\nTITLE=\"gnome\"\n"),
            (
                "GNOME 48+x",
                "ID=_47_4e_4f_4d_45_2048_2bx\nTITLE=\"GNOME 48+x\"\n",
            ),
            ("a_5f", "ID=a_5f5f\nTITLE=\"a_5f\"\n"),
            ("$x", "ID=_24x\nTITLE='$x'\n"),
            ("it's $x", "ID=it_27s_20_24x\n"),
            ("", "ID=_\n"),
        ] {
            let profile = Profile::of_specialisation(name);
            assert_eq!(profile.render(), text);
            assert_eq!(read(text).0.as_deref(), Some(profile.id()));
        }
    }

    proptest! {
        #[test]
        fn two_specialisations_never_share_a_profile(one in "[aA_5.]{0,5}", other in "[aA_5.]{0,5}") {
            let [first, second] = [&one, &other].map(|name| Profile::of_specialisation(name));
            prop_assert_eq!(one == other, first.id() == second.id());
        }
    }
}
