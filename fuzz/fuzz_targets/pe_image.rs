//! Bytes as executables: heads that are looked at, and stubs that sections are added to.
//! A stub is refused, or the image is what was asked for and could be a stub itself.
#![no_main]

use bootloaders::pe::{self, PeImage};
use bootloaders::uki::{self, ALIGNED_FROM, Assembly, BLOCK, Content, Section, Stub};
use bootloaders::{grub, uki::uname};
use extents::{ExtentMap, SourceId};
use fuzz::seeds;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: seeds::write(&seeds::executables()), |bytes: &[u8]| {
    look(bytes);
    let own = SourceId::new(0);
    let Ok(stub) = Stub::parse(bytes, own) else {
        return;
    };
    let kernel = vec![7; 70_000];
    let file = Content::file(SourceId::new(1), kernel.len() as u64);
    let sbat = "sbat,1,SBAT Version,sbat,1,https://example.org\n";
    let sections = [
        (".cmdline", Content::bytes(*b"quiet")),
        (".linux", file),
        (".sbat", Content::bytes(sbat.as_bytes())),
    ]
    .map(|(name, content)| Section {
        name: name.parse().expect("a name"),
        content,
    });
    let assembly = Assembly {
        stub: &stub,
        sections: &sections,
        nx_compat: false,
    };
    let Ok(map) = uki::assemble(&assembly) else {
        return;
    };
    let image = render(&map, &[bytes, &kernel]);
    let read = PeImage::parse(&image).expect("our own image");
    for (name, content) in [(".cmdline", &b"quiet"[..]), (".linux", &kernel)] {
        let section = read.sections.iter().rfind(|it| it.name == name);
        let section = section.expect("a section that was added");
        let start = section.offset as usize;
        assert_eq!(&image[start..start + section.size as usize], content);
        let is_large = content.len() as u64 >= ALIGNED_FROM;
        assert!(!is_large || u64::from(section.offset).is_multiple_of(BLOCK));
    }
    Stub::parse(&image, own).expect("an image can be a stub");
});

fn look(bytes: &[u8]) {
    let _ = pe::is_linux(bytes);
    let _ = uname::of_boot_header(bytes);
    let _ = uname::of_banner(bytes);
    let _ = grub::config_path(bytes);
    if let Ok(image) = PeImage::parse(bytes) {
        let _ = image.arch();
        let _ = image.loader_info(bytes);
    }
}

/// The bytes of an image whose pieces are in memory.
fn render(map: &ExtentMap, files: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(map.length()).expect("a small image")];
    for extent in map.extents() {
        let start = usize::try_from(extent.start).expect("a small image");
        let length = usize::try_from(extent.length).expect("a small image");
        let target = &mut bytes[start..start + length];
        match &extent.content {
            extents::Content::Bytes(content) => target.copy_from_slice(content),
            extents::Content::Slice { source, offset, .. } => {
                let offset = usize::try_from(*offset).expect("a small file");
                target.copy_from_slice(&files[source.index()][offset..offset + length]);
            }
        }
    }
    bytes
}
