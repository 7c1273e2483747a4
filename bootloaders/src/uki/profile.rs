//! Profiles: variants of an image that share what they do not override.

use crate::error::Error;
use crate::line::Line;

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
        let unquotable = |title: &Line| title.as_str().contains(['"', '\\', '$', '`']);
        if let Some(title) = title.as_ref().filter(|title| unquotable(title)) {
            return Err(Error::Line {
                text: title.to_string(),
                reason: "has a character that a title cannot have: one of \"\\$`",
            });
        }
        Ok(Self {
            id: id.to_owned(),
            title,
        })
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
            Some(title) => format!("ID={id}\nTITLE=\"{title}\"\n"),
            None => format!("ID={id}\n"),
        }
    }
}
