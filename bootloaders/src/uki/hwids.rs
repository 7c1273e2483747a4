//! The `.hwids` section: which machine wants which device tree or firmware.
//!
//! Layout: `src/boot/chid.h` of systemd. A table of devices, a device of zeros, then
//! the texts that the devices point to.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;

/// Bytes of a device: descriptor, identifier, two offsets of texts.
const DEVICE: u32 = 4 + 16 + 4 + 4;

/// What a machine of an identifier wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// A device tree with this `compatible`.
    Devicetree,
    /// A firmware of this name.
    Firmware,
}

/// A kind of machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// What it wants.
    pub wanted: Wanted,
    /// What it is called.
    pub name: String,
    /// The `compatible` or the name of the firmware.
    pub value: String,
    /// Its computer hardware identifiers, as GUIDs in text.
    pub ids: Vec<String>,
}

/// The section, of machines in their order. Machines that agree but for their
/// identifiers are one.
///
/// # Errors
/// When an identifier is not a GUID, or a text holds a NUL.
pub fn pack(machines: &[Machine]) -> Result<Vec<u8>, Error> {
    let mut order = Vec::new();
    let mut devices: BTreeMap<_, BTreeSet<Guid>> = BTreeMap::new();
    let mut texts = BTreeSet::new();
    for machine in machines {
        let key = (machine.wanted, &*machine.name, &*machine.value);
        for text in [key.1, key.2] {
            if text.contains('\0') {
                return Err(refuse(text, "holds a NUL"));
            }
            texts.insert(text);
        }
        if !devices.contains_key(&key) {
            order.push(key);
        }
        let ids = devices.entry(key).or_default();
        for id in &machine.ids {
            ids.insert(Guid::parse(id)?);
        }
    }
    let count = 1 + devices.values().map(BTreeSet::len).sum::<usize>();
    let (texts, offsets) = pack_texts(&texts, count)?;
    let mut packed = Vec::new();
    for key in order {
        let kind: u32 = match key.0 {
            Wanted::Devicetree => 1,
            Wanted::Firmware => 2,
        };
        for id in &devices[&key] {
            packed.extend((DEVICE | kind << 28).to_le_bytes());
            packed.extend(id.stored());
            packed.extend(offsets[key.1].to_le_bytes());
            packed.extend(offsets[key.2].to_le_bytes());
        }
    }
    packed.extend([0; DEVICE as usize]);
    packed.extend(texts);
    Ok(packed)
}

/// The texts with a NUL each, and where each is in the section behind `count` devices.
fn pack_texts<'a>(
    texts: &BTreeSet<&'a str>,
    count: usize,
) -> Result<(Vec<u8>, BTreeMap<&'a str, u32>), Error> {
    let base = count * DEVICE as usize;
    let mut packed = Vec::new();
    let mut offsets = BTreeMap::new();
    for text in texts {
        let offset = u32::try_from(base + packed.len());
        offsets.insert(
            *text,
            offset.map_err(|_| refuse(text, "is behind 4 GiB of others"))?,
        );
        packed.extend(text.as_bytes());
        packed.push(0);
    }
    Ok((packed, offsets))
}

/// A GUID, in the order of its digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Guid([u8; 16]);

impl Guid {
    fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || refuse(text, "is not a GUID");
        let groups: Vec<_> = text.split('-').map(str::len).collect();
        let digits: String = text.split('-').collect();
        if groups != [8, 4, 4, 4, 12] || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let value = u128::from_str_radix(&digits, 16).map_err(|_| wrong())?;
        Ok(Self(value.to_be_bytes()))
    }

    /// As it is stored: the first three groups with the low byte first.
    fn stored(self) -> [u8; 16] {
        let mut bytes = self.0;
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }
}

fn refuse(text: &str, reason: &str) -> Error {
    Error::Section {
        name: ".hwids".to_owned(),
        reason: format!("has the text `{}`, which {reason}", text.escape_debug()),
    }
}
