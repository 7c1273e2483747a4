//! The keys of repart.d, each by its name there and in `image.toml`.

use serde_json::{Map, Value};
use tree_manifest::spelling;

use super::ini::{self, Assignment};
use super::specifier::Specifiers;
use crate::size::ByteSize;
use crate::split::SPECIFIERS;

/// A key of repart.d.
#[derive(Debug)]
pub struct Key {
    /// Its name in repart.d.
    pub name: &'static str,
    /// Its name in `image.toml`.
    pub own: &'static str,
    /// What its values are.
    pub kind: Kind,
}

/// What the values of a key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text, taken as it is.
    Text,
    /// A text with specifiers.
    Expanded,
    /// The same, where [`crate::split`] knows more of them.
    SplitName,
    /// An integer, also in other bases.
    Integer,
    /// A number of bytes.
    Size,
    /// Yes or no.
    Boolean,
    /// One of a few words; this one is meant by "yes", and `off` by "no".
    Choice(&'static str),
    /// Any number of words; more assignments add to them.
    Words,
    /// A text with specifiers in each of any number of assignments.
    Items,
    /// As [`Kind::Items`], without specifiers.
    PlainItems,
}

const fn key(name: &'static str, own: &'static str, kind: Kind) -> Key {
    Key { name, own, kind }
}

/// Every key of systemd 262.
pub const KEYS: [Key; 46] = [
    key("Type", "type", Kind::Text),
    key("Label", "label", Kind::Expanded),
    key("UUID", "uuid", Kind::Text),
    key("Priority", "priority", Kind::Integer),
    key("Weight", "weight", Kind::Integer),
    key("PaddingWeight", "padding-weight", Kind::Integer),
    key("SizeMinBytes", "size-min-bytes", Kind::Size),
    key("SizeMaxBytes", "size-max-bytes", Kind::Size),
    key("PaddingMinBytes", "padding-min-bytes", Kind::Size),
    key("PaddingMaxBytes", "padding-max-bytes", Kind::Size),
    key("FactoryReset", "factory-reset", Kind::Boolean),
    key("CopyBlocks", "copy-blocks", Kind::Expanded),
    key("Format", "format", Kind::Text),
    key("CopyFiles", "copy-files", Kind::Items),
    key("ExcludeFiles", "exclude-files", Kind::Words),
    key("ExcludeFilesTarget", "exclude-files-target", Kind::Words),
    key("MakeDirectories", "make-directories", Kind::Words),
    key("MakeSymlinks", "make-symlinks", Kind::Words),
    key("Subvolumes", "subvolumes", Kind::Words),
    key("DefaultSubvolume", "default-subvolume", Kind::Expanded),
    key("Minimize", "minimize", Kind::Choice("best")),
    key("Compression", "compression", Kind::Text),
    key("CompressionLevel", "compression-level", Kind::Text),
    key(
        "FileSystemSectorSize",
        "file-system-sector-size",
        Kind::Size,
    ),
    key("AddValidateFS", "add-validate-fs", Kind::Boolean),
    key("VolumeLabel", "volume-label", Kind::Expanded),
    key("Encrypt", "encrypt", Kind::Choice("key-file")),
    key("EncryptKDF", "encrypt-kdf", Kind::Text),
    key("KeyFile", "key-file", Kind::Text),
    key("TPM2PCRs", "tpm2-pcrs", Kind::Text),
    key("Integrity", "integrity", Kind::Choice("inline")),
    key("IntegrityAlgorithm", "integrity-algorithm", Kind::Text),
    key("Discard", "discard", Kind::Boolean),
    key("EncryptedVolume", "encrypted-volume", Kind::Text),
    key("VolumeName", "volume-name", Kind::Text),
    key("BlockDeviceReplace", "block-device-replace", Kind::Expanded),
    key("Verity", "verity", Kind::Choice("data")),
    key("VerityMatchKey", "verity-match-key", Kind::Text),
    key(
        "VerityDataBlockSizeBytes",
        "verity-data-block-size-bytes",
        Kind::Size,
    ),
    key(
        "VerityHashBlockSizeBytes",
        "verity-hash-block-size-bytes",
        Kind::Size,
    ),
    key("Flags", "flags", Kind::Integer),
    key("NoAuto", "no-auto", Kind::Boolean),
    key("ReadOnly", "read-only", Kind::Boolean),
    key("GrowFileSystem", "grow-file-system", Kind::Boolean),
    key("SplitName", "split-name", Kind::SplitName),
    key("MountPoint", "mount-point", Kind::PlainItems),
];

/// The key that names another definition, and so is not among [`KEYS`], whose values
/// stand alone.
pub const SUPPLEMENT_FOR: Key = key("SupplementFor", "supplement-for", Kind::Text);

/// Puts an assignment among the values of a description. An empty one takes back what
/// was assigned before; an empty label is one.
///
/// # Errors
/// When there is no such key, or it cannot have this value.
pub fn assign(
    values: &mut Map<String, Value>,
    assignment: &Assignment,
    specifiers: &Specifiers,
) -> Result<(), String> {
    let mut known = KEYS.iter().chain([&SUPPLEMENT_FOR]);
    let Some(key) = known.find(|key| key.name == assignment.key) else {
        if assignment.key.starts_with("X-") {
            return Ok(());
        }
        let names = KEYS.iter().map(|key| key.name);
        let nearest = spelling::nearest(&assignment.key, names);
        let nearest = nearest.map(|name| format!("; did you mean `{name}`?"));
        let nearest = nearest.unwrap_or_default();
        return Err(format!(
            "there is no such key in repart.d of systemd 262{nearest}"
        ));
    };
    let text = assignment.value.as_str();
    if text.is_empty() && !["Label", "VolumeLabel"].contains(&key.name) {
        values.remove(key.own);
        return Ok(());
    }
    let added = match key.kind {
        Kind::Text => text.into(),
        Kind::Expanded => specifiers.expand(text)?.into(),
        Kind::SplitName => specifiers.expand_but(text, &SPECIFIERS)?.into(),
        Kind::Integer => integer(text)?,
        Kind::Size => size(text)?.bytes().into(),
        Kind::Boolean => boolean(text).ok_or("it is neither yes nor no")?.into(),
        Kind::Choice(yes) => match boolean(text) {
            Some(true) => yes.into(),
            Some(false) => "off".into(),
            None => text.into(),
        },
        Kind::Words => {
            let words = ini::words(text)?.into_iter();
            let words = words.map(|word| specifiers.expand(&word).map(Value::from));
            Value::Array(words.collect::<Result<_, _>>()?)
        }
        Kind::Items => vec![specifiers.expand(text)?].into(),
        Kind::PlainItems => vec![text].into(),
    };
    match (values.get_mut(key.own), added) {
        (Some(Value::Array(list)), Value::Array(added)) => list.extend(added),
        (_, added) => {
            values.insert(key.own.to_owned(), added);
        }
    }
    Ok(())
}

/// What systemd takes for yes and no.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Result<Value, String> {
    let (digits, radix) = match text.get(..2) {
        Some("0x" | "0X") => (&text[2..], 16),
        Some("0b") => (&text[2..], 2),
        Some("0o") => (&text[2..], 8),
        _ => (text, 10),
    };
    if let Ok(number) = u64::from_str_radix(digits, radix) {
        return Ok(number.into());
    }
    let number = text.parse::<i64>().map(Value::from);
    number.map_err(|_| format!("`{}` is no integer", text.escape_debug()))
}

/// A size as systemd reads it: parts such as `1G 512M`, with fractions.
fn size(text: &str) -> Result<ByteSize, String> {
    let refuse = || format!("`{}` is no size", text.escape_debug());
    if let Ok(size) = text.parse::<ByteSize>() {
        return Ok(size);
    }
    let mut sum: u64 = 0;
    for part in text.split_ascii_whitespace() {
        let (digits, unit) = part.split_at(
            part.find(|c: char| c.is_ascii_alphabetic())
                .unwrap_or(part.len()),
        );
        let unit = format!("1{unit}")
            .parse::<ByteSize>()
            .map_err(|_| refuse())?;
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let whole: u64 = whole.parse().map_err(|_| refuse())?;
        let mut bytes = whole.checked_mul(unit.bytes()).ok_or_else(refuse)?;
        if !fraction.is_empty() {
            let places = u32::try_from(fraction.len())
                .ok()
                .filter(|places| *places < 16);
            let digits: u64 = fraction.parse().map_err(|_| refuse())?;
            let parts = 10_u128.pow(places.ok_or_else(refuse)?);
            let more = u128::from(digits) * u128::from(unit.bytes()) / parts;
            let more = u64::try_from(more).map_err(|_| refuse())?;
            bytes = bytes.checked_add(more).ok_or_else(refuse)?;
        }
        sum = sum.checked_add(bytes).ok_or_else(refuse)?;
    }
    Ok(ByteSize(sum))
}
