//! What release a kernel is, from its bytes.

/// Where the boot protocol of x86 has its mark, and after it, as 16 bits, where the
/// version is, counted from the second sector:
/// <https://docs.kernel.org/arch/x86/boot.html>.
const MARK: usize = 0x202;
const POINTER: usize = 0x20e;
const SECTOR: usize = 0x200;

/// The most bytes of a version that are looked at.
const LONGEST: usize = 128;

/// How many bytes at the start of a file are enough for [`of_boot_header`].
pub const HEAD: usize = SECTOR + u16::MAX as usize + LONGEST;

/// What comes before the release in the banner of every kernel.
const BANNER: &[u8] = b"Linux version ";

/// By how many bytes pieces of a kernel must overlap for [`of_banner`] to miss none.
pub const OVERLAP: usize = BANNER.len() + LONGEST;

/// The release in the boot header of x86, from the first [`HEAD`] bytes of a kernel.
#[must_use]
pub fn of_boot_header(head: &[u8]) -> Option<&str> {
    if !head.get(MARK..)?.starts_with(b"HdrS") {
        return None;
    }
    let pointer = head.get(POINTER..POINTER + 2)?;
    let start = SECTOR + usize::from(u16::from_le_bytes([pointer[0], pointer[1]]));
    let text = head.get(start..)?;
    let text = &text[..text.len().min(LONGEST)];
    let text = text.split(|byte| *byte == 0).next()?;
    let (release, rest) = std::str::from_utf8(text).ok()?.split_once(" (")?;
    let is_release =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._+-".contains(&byte);
    let is_version = rest.contains(") ") && release.bytes().all(is_release);
    (is_version && !release.is_empty()).then_some(release)
}

/// The release in the banner of a kernel that is not compressed, from any bytes of it.
#[must_use]
pub fn of_banner(bytes: &[u8]) -> Option<&str> {
    let mut rest = bytes;
    while let Some(start) = find(rest, BANNER) {
        rest = &rest[start + BANNER.len()..];
        let text = &rest[..rest.len().min(LONGEST)];
        let Some(end) = text.iter().position(u8::is_ascii_whitespace) else {
            continue;
        };
        let is_release = text[0].is_ascii_digit() && text.get(1) == Some(&b'.');
        if is_release && text[end..].starts_with(b" (") {
            return std::str::from_utf8(&text[..end]).ok();
        }
    }
    None
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
