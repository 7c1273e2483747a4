//! The file names of entries.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use tree_manifest::{GenerationId, Sha256};

use crate::error::Error;

/// The longest name of an entry that is chosen, in bytes: a counter and the ending of a
/// temporary name have to fit into a name of FAT too.
const LONGEST: usize = 200;

/// What the names of generations' entries are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EntryNaming {
    /// Profile, number and specialisation: [`entry_name`]. People can read it,
    /// and scripts know it from older NixOS.
    #[default]
    Generation,
    /// The text of the entry: [`content_name`]. Another text is another entry,
    /// which is tried anew.
    Content,
}

/// A name of an entry that is chosen, without `.conf` or `.efi` and a boot counter, such as
/// `appliance_7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryName(String);

impl Default for EntryName {
    /// What the entry of a kernel is called.
    fn default() -> Self {
        Self("linux".to_owned())
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EntryName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason| {
            Err(Error::Line {
                text: text.to_owned(),
                reason,
            })
        };
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() || text.starts_with('.') || !text.bytes().all(is_plain) {
            return refuse("is no name of an entry: letters, digits, `.`, `_` and `-` are allowed");
        }
        if text.len() > LONGEST {
            return refuse("is longer than the 200 bytes that a name of an entry can have");
        }
        let folded = text.to_ascii_lowercase();
        if folded.starts_with("nixos-") || folded.starts_with("xen-") {
            return refuse("begins with `nixos-` or `xen-`, as the names of generations do");
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a generation's entry, without `.conf`:
/// `nixos[-PROFILE]-generation-N[-specialisation-S]`.
///
/// Two generations never share a name. What could be mistaken is written as
/// `_xx`, byte by byte, in hexadecimal digits:
///
/// - any character but `A-Za-z0-9._-`: `+` would start a boot counter, `@` select
///   a profile of a UKI, `*?[` be a pattern in `default`, and bootctl passes over
///   entries with any other in their name;
/// - `_` before two hexadecimal digits;
/// - the first letter of a profile's part `generation`, which would end the
///   profile.
#[must_use]
pub fn entry_name(id: &GenerationId) -> String {
    let mut name = "nixos-".to_owned();
    if let Some(profile) = &id.profile {
        for (index, part) in profile.split('-').enumerate() {
            if index > 0 {
                name.push('-');
            }
            push_profile_part(&mut name, part);
        }
        name.push('-');
    }
    // Writing to a String cannot fail.
    let _ = write!(name, "generation-{}", id.number);
    if let Some(specialisation) = &id.specialisation {
        name.push_str("-specialisation-");
        push_encoded(&mut name, specialisation);
    }
    name
}

/// The name of an entry by its content, without `.conf`: `nixos-SHA256`.
///
/// The digest is that of the text that is written, in hexadecimal digits. nixpkgs
/// does the same with its texts; those end without a newline and ours with one,
/// so the names differ and each installer replaces the entries of the other once.
#[must_use]
pub fn content_name(text: &str) -> String {
    format!("nixos-{}", Sha256::of(text.as_bytes()))
}

fn push_profile_part(name: &mut String, part: &str) {
    if part.eq_ignore_ascii_case("generation") {
        let (first, rest) = part.split_at(1);
        push_escaped(name, first.as_bytes()[0]);
        name.push_str(rest);
    } else {
        push_encoded(name, part);
    }
}

fn push_encoded(name: &mut String, text: &str) {
    let bytes = text.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        let next = bytes.get(index + 1..index + 3);
        let looks_escaped = || next.is_some_and(|next| next.iter().all(u8::is_ascii_hexdigit));
        let as_it_is = match byte {
            b'.' | b'-' => true,
            b'_' => !looks_escaped(),
            _ => byte.is_ascii_alphanumeric(),
        };
        if as_it_is {
            name.push(char::from(byte));
        } else {
            push_escaped(name, byte);
        }
    }
}

fn push_escaped(name: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(name, "_{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(profile: Option<&str>, number: u64, specialisation: Option<&str>) -> GenerationId {
        GenerationId {
            profile: profile.map(str::to_owned),
            number,
            specialisation: specialisation.map(str::to_owned),
        }
    }

    #[test]
    fn a_name_that_is_chosen_is_no_counter_and_no_generations() {
        for name in ["linux", "appliance_7", "my-os_1.2.3", "Z"] {
            assert_eq!(name.parse::<EntryName>().unwrap().to_string(), name);
        }
        for (name, why) in [
            ("", "is no name of an entry"),
            (".hidden", "is no name of an entry"),
            ("a+3", "is no name of an entry"),
            ("a@b", "is no name of an entry"),
            ("a/b", "is no name of an entry"),
            ("a b", "is no name of an entry"),
            ("nixos-x", "as the names of generations do"),
            ("XEN-x", "as the names of generations do"),
            (&"x".repeat(201), "longer than"),
        ] {
            let error = name.parse::<EntryName>().unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
    }

    #[test]
    fn names_are_those_of_nixos_where_those_are_safe() {
        for (id, name) in [
            (id(None, 1, None), "nixos-generation-1"),
            (
                id(None, 42, Some("gnome")),
                "nixos-generation-42-specialisation-gnome",
            ),
            (id(Some("work"), 3, None), "nixos-work-generation-3"),
            (
                id(None, 1, Some("a+3@b*c/ü%")),
                "nixos-generation-1-specialisation-a_2b3_40b_2ac_2f_c3_bc_25",
            ),
            (
                id(None, 1, Some("my_gnome_2b")),
                "nixos-generation-1-specialisation-my_gnome_5f2b",
            ),
            (
                id(Some("generation-1"), 2, None),
                "nixos-_67eneration-1-generation-2",
            ),
        ] {
            assert_eq!(entry_name(&id), name);
        }
    }

    #[test]
    fn another_text_is_another_name() {
        assert_eq!(
            content_name("title NixOS\n"),
            "nixos-f2a871dee1fb2421b2b9e47926fc2e4b479cd189ad7a9237bc6477cadb444eb4"
        );
        assert_ne!(content_name("title NixOS\n"), content_name("title NixOS"));
    }

    /// Parts of which the confusing names are made.
    fn confusing() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "generation",
            "Generation",
            "specialisation",
            "1",
            "2",
            "x",
            "+",
            "_2b",
            "_",
            "",
        ]);
        prop::collection::vec(part, 1..6).prop_map(|parts| parts.join("-"))
    }

    fn any_id() -> impl Strategy<Value = GenerationId> {
        let text = prop_oneof![confusing(), "[_+2b]{1,6}", ".{1,8}"];
        (
            prop::option::of(text.clone()),
            1..4_u64,
            prop::option::of(text),
        )
            .prop_map(|(profile, number, specialisation)| GenerationId {
                profile,
                number,
                specialisation,
            })
    }

    proptest! {
        #[test]
        fn two_generations_never_share_a_name(first in any_id(), second in any_id()) {
            prop_assert_eq!(first == second, entry_name(&first) == entry_name(&second));
        }

        #[test]
        fn names_hold_no_character_with_a_meaning(id in any_id()) {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            prop_assert!(entry_name(&id).chars().all(allowed));
        }
    }
}
