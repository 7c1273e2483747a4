//! Register 11: what a Unified Kernel Image holds, and how far the boot has come.
//!
//! The stub measures sections in an order of its own, for each its name and then its
//! content as it is in memory; later the system measures words, one for each phase
//! (`systemd-pcrphase`). Order and rules are those of systemd 262. Addons and what else
//! comes from beside the image go into other registers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Digests, Register};
use crate::error::Error;

/// The register's number.
pub const NUMBER: u32 = 11;

/// The sections that are measured, in the order of measuring: a contract of the stub
/// with everybody who predicts. `.pcrsig` signs the result and is none of them.
const MEASURED: [&str; 14] = [
    ".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat",
    ".pcrpkey", PROFILE, DEVICETREE, ".hwids", FIRMWARE,
];

/// Begins a profile.
const PROFILE: &str = ".profile";
/// Device trees of which the stub takes the one that fits the machine.
const DEVICETREE: &str = ".dtbauto";
/// Firmware of which the stub takes that of the machine. Most machines have none.
const FIRMWARE: &str = ".efifw";

/// What is measured when a profile of an image boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Which profile, from 0.
    pub profile: usize,
    /// Which section is the device tree of the machine, where the machine chooses. One
    /// for which no section fits measures none, as nothing is predicted.
    pub devicetree: Option<usize>,
    /// The measured sections in the order of measuring: names, and places in the image.
    pub sections: Vec<(&'static str, usize)>,
}

/// Everything that may be measured of an image with sections of these names: what
/// stands before the first `.profile` is in every profile that does not bring its own.
/// Firmware that is chosen by the machine is left out, as if none fitted.
#[must_use]
pub fn variants(names: &[&str]) -> Vec<Variant> {
    let is_profile = |(_, name): &(usize, &&str)| **name == PROFILE;
    let mut starts: Vec<usize> = names
        .iter()
        .enumerate()
        .filter(is_profile)
        .map(|(index, _)| index)
        .collect();
    let base = 0..starts.first().copied().unwrap_or(names.len());
    if starts.is_empty() {
        starts.push(names.len());
    }
    let mut variants = Vec::new();
    for (profile, start) in starts.iter().enumerate() {
        let own = *start..starts.get(profile + 1).copied().unwrap_or(names.len());
        let choice = |range: &std::ops::Range<usize>| -> Vec<usize> {
            let found = range.clone().filter(|index| names[*index] == DEVICETREE);
            found.collect()
        };
        let mut devicetrees: Vec<_> = match choice(&own) {
            none if none.is_empty() => choice(&base),
            own => own,
        }
        .into_iter()
        .map(Some)
        .collect();
        if devicetrees.is_empty() {
            devicetrees.push(None);
        }
        // The first of a name counts, and one of the profile before one of all.
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for index in own.chain(base.clone()) {
            first.entry(names[index]).or_insert(index);
        }
        for devicetree in devicetrees {
            let place = |name: &'static str| match name {
                FIRMWARE => None,
                DEVICETREE => devicetree.map(|index| (name, index)),
                name => first.get(name).map(|index| (name, *index)),
            };
            variants.push(Variant {
                profile,
                devicetree,
                sections: MEASURED.into_iter().filter_map(place).collect(),
            });
        }
    }
    variants
}

/// Adds a section with these digests to the register.
pub fn add_section(register: &mut Register, name: &str, content: &Digests) {
    register.measure(&[name.as_bytes(), &[0]].concat());
    register.extend(content);
}

/// Adds the phases of a path to the register.
#[must_use]
pub fn after(register: &Register, phases: &PhasePath) -> Register {
    let mut register = register.clone();
    for word in &phases.0 {
        register.measure(word.as_bytes());
    }
    register
}

/// How far a boot has come: words joined by `:`. The empty path, `:`, is the moment
/// when the kernel starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhasePath(Vec<String>);

impl PhasePath {
    /// The paths from the start of the initial RAM disk until the system is up.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        let words = ["enter-initrd", "leave-initrd", "sysinit", "ready"];
        let path = |count| Self(words[..count].iter().map(|&word| word.to_owned()).collect());
        (1..=words.len()).map(path).collect()
    }
}

impl fmt::Display for PhasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(":");
        }
        f.write_str(&self.0.join(":"))
    }
}

impl FromStr for PhasePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let words: Vec<_> = text.split(':').filter(|word| !word.is_empty()).collect();
        let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || !words.iter().all(is_word) {
            return Err(Error::PhasePath(text.to_owned()));
        }
        Ok(Self(words.into_iter().map(str::to_owned).collect()))
    }
}
