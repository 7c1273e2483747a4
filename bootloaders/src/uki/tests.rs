#![expect(clippy::format_push_string, reason = "speed is no concern")]

use extents::{ExtentMap, SourceId};
use proptest::prelude::*;

use super::*;
use crate::pe::Headers;

const STUB: usize = 0;

/// A stub with `.text`, `.sbat` and `.sdmagic`, its table ending at 0x1c0 of 0x400
/// bytes of headers, as addon stubs have it.
fn stub_bytes() -> Vec<u8> {
    let mut bytes = vec![0; 0x400 + 3 * 0x200];
    let mut put = |offset: usize, value: &[u8]| {
        bytes[offset..offset + value.len()].copy_from_slice(value);
    };
    let word = |value: u32| value.to_le_bytes();
    put(0, b"MZ");
    put(0x3c, &[0x40]);
    put(0x40, b"PE\0\0");
    put(0x44, &0x8664_u16.to_le_bytes());
    put(0x46, &[3]);
    put(0x54, &[240]);
    put(0x58, &0x20b_u16.to_le_bytes());
    put(0x58 + 32, &word(0x1000));
    put(0x58 + 36, &word(0x200));
    put(0x58 + 60, &word(0x400));
    put(0x58 + 64, &word(0xdead));
    put(0x58 + 68, &[10]);
    put(0x58 + 70, &0x160_u16.to_le_bytes());
    put(0x58 + 108, &[16]);
    for (index, (name, length)) in [(".text", 11), (".sbat", 0x200), (".sdmagic", 42)]
        .into_iter()
        .enumerate()
    {
        let (at, number) = (0x148 + index * 40, u32::try_from(index).unwrap());
        put(at, name.as_bytes());
        put(at + 8, &word(length));
        put(at + 12, &word(0x1000 * (number + 1)));
        put(at + 16, &word(0x200));
        put(at + 20, &word(0x400 + 0x200 * number));
        put(at + 36, &word(0x4000_0040));
    }
    put(0x400, &[0xcc; 11]);
    put(0x600, b"sbat,1,head\nstub,1,Stub\n");
    put(0x800, b"#### LoaderInfo: systemd-stub 262 ####");
    bytes
}

/// The same with an optional header of PE32, which is shorter.
fn stub_of_32_bits() -> Vec<u8> {
    let mut bytes = stub_bytes();
    bytes[0x44..0x46].copy_from_slice(&0x14c_u16.to_le_bytes());
    bytes[0x58..0x5a].copy_from_slice(&0x10b_u16.to_le_bytes());
    bytes[0x58 + 92] = 16;
    bytes[0x58 + 108] = 0;
    bytes
}

fn stub() -> Stub {
    Stub::parse(&stub_bytes(), SourceId::new(STUB)).unwrap()
}

/// The sources of the tests: the stub, then files of a byte each.
fn sources(lengths: &[usize]) -> Vec<Vec<u8>> {
    let files = lengths
        .iter()
        .enumerate()
        .map(|(index, length)| vec![u8::try_from(index + 1).unwrap(); *length]);
    [stub_bytes()].into_iter().chain(files).collect()
}

fn file(index: usize, sources: &[Vec<u8>]) -> Content {
    Content::file(SourceId::new(index), sources[index].len() as u64)
}

fn text(text: &str) -> Content {
    Content::bytes(text.as_bytes())
}

/// The file that a map stands for.
fn render(map: &ExtentMap, sources: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(map.length()).unwrap()];
    for extent in map.extents() {
        let start = usize::try_from(extent.start).unwrap();
        let length = usize::try_from(extent.length).unwrap();
        let content = match &extent.content {
            extents::Content::Bytes(content) => content,
            extents::Content::Slice { source, offset } => {
                let offset = usize::try_from(*offset).unwrap();
                &sources[source.index()][offset..offset + length]
            }
        };
        bytes[start..start + length].copy_from_slice(content);
    }
    bytes
}

fn made(stub: &Stub, sections: &[Section]) -> Result<ExtentMap, crate::Error> {
    assemble(&Assembly {
        stub,
        sections,
        nx_compat: true,
    })
}

/// Name, content and place of every section, as goblin reads them.
fn reread(bytes: &[u8]) -> Vec<(String, Vec<u8>, u32, u32)> {
    let pe = goblin::pe::PE::parse(bytes).unwrap();
    let sections = pe.sections.iter().map(|section| {
        let start = section.pointer_to_raw_data as usize;
        let content = bytes[start..start + section.virtual_size as usize].to_vec();
        let name = section.name().unwrap().to_owned();
        (
            name,
            content,
            section.virtual_address,
            section.pointer_to_raw_data,
        )
    });
    sections.collect()
}

#[test]
fn sections_come_in_their_order_with_profiles_behind() {
    let sources = sources(&[100_000, 200_001, 3, 70_000]);
    let sbat = sbat::merge([stub().sbat().unwrap(), sbat::IMAGE.as_bytes()]).unwrap();
    let uki = Uki {
        base: Contents {
            uname: Some(text("6.1")),
            cmdline: Some(text("quiet")),
            os_release: Some(text("ID=nixos\n")),
            linux: Some(file(1, &sources)),
            initrds: vec![file(2, &sources), file(3, &sources)],
            others: vec![Section {
                name: ".sbom".parse().unwrap(),
                content: file(4, &sources),
            }],
            ..Contents::default()
        },
        sbat: Some(text(&sbat)),
        profiles: vec![(
            Profile::new("debug", Some("For debugging".parse().unwrap())).unwrap(),
            Contents {
                cmdline: Some(text("debug")),
                ..Contents::default()
            },
        )],
        ..Uki::default()
    };
    let map = made(&stub(), &uki.into_sections().unwrap()).unwrap();
    let bytes = render(&map, &sources);
    let found = reread(&bytes);
    let listed: Vec<_> = found
        .iter()
        .map(|(name, content, address, offset)| {
            let length = content.len();
            let text = std::str::from_utf8(content).ok().filter(|_| length < 60);
            let text = text.unwrap_or_default().escape_debug();
            format!("{name:8} {address:#08x} {offset:#08x} {length:6} {text}")
        })
        .collect();
    insta::assert_snapshot!(listed.join("\n"));
    let initrd = &found.iter().find(|found| found.0 == ".initrd").unwrap().1;
    assert_eq!(initrd.len(), 200_004 + 4);
    assert_eq!(initrd[200_000..], [2, 0, 0, 0, 3, 3, 3, 0]);
    let pe = goblin::pe::PE::parse(&bytes).unwrap();
    let windows = pe.header.optional_header.unwrap().windows_fields;
    assert_eq!(windows.check_sum, 0);
    assert_eq!(windows.dll_characteristics, 0x160);
    assert_eq!(windows.size_of_image % 0x1000, 0);
    // Every byte of the file is of the headers or of one section: nothing is unsigned.
    let mut end = windows.size_of_headers;
    for section in &pe.sections {
        assert_eq!(section.pointer_to_raw_data, end);
        end += section.size_of_raw_data;
    }
    assert_eq!(u64::from(end), map.length());
}

#[test]
fn an_image_does_not_promise_what_its_kernel_does_not_keep() {
    let sections = [Section {
        name: ".linux".parse().unwrap(),
        content: Content::bytes(*b"kernel"),
    }];
    let map = assemble(&Assembly {
        stub: &stub(),
        sections: &sections,
        nx_compat: false,
    });
    let bytes = render(&map.unwrap(), &sources(&[]));
    assert_eq!(Headers::parse(&bytes).unwrap().characteristics, 0x060);
}

#[test]
fn headers_grow_up_to_the_first_section_in_memory() {
    let sections = |count: usize| -> Vec<Section> {
        let section = |index: usize| Section {
            name: format!(".s{index}").parse().unwrap(),
            content: Content::bytes(index.to_le_bytes()),
        };
        (0..count).map(section).collect()
    };
    let stub = stub();
    for (count, headers) in [(14, 0x400), (15, 0x600), (91, 0x1000)] {
        let map = made(&stub, &sections(count)).unwrap();
        let bytes = render(&map, &sources(&[]));
        assert_eq!(Headers::parse(&bytes).unwrap().length, headers, "{count}");
        let found = reread(&bytes);
        assert_eq!(found.len(), count + 3);
        assert_eq!(found[0].1, [0xcc; 11]);
        assert_eq!(found[count + 2].1, (count - 1).to_le_bytes());
    }
    let error = made(&stub, &sections(92)).unwrap_err().to_string();
    insta::assert_snapshot!(error);
}

#[test]
fn a_stub_of_32_bits_gets_sections_as_one_of_64() {
    let narrow = Stub::parse(&stub_of_32_bits(), SourceId::new(STUB)).unwrap();
    assert_eq!(narrow.arch(), Some(crate::Arch::Ia32));
    let sections = [Section {
        name: ".cmdline".parse().unwrap(),
        content: text("quiet"),
    }];
    let [narrow, wide] = [narrow, stub()].map(|stub| {
        let map = made(&stub, &sections).unwrap();
        reread(&render(&map, &[stub_bytes()]))
    });
    assert_eq!(narrow, wide);
    assert_eq!(narrow.last().unwrap().1, b"quiet");
}

#[test]
fn refusals_name_the_field_and_its_offset() {
    let with = |patches: &[(usize, u32)]| {
        let mut bytes = stub_bytes();
        for (offset, value) in patches {
            bytes[*offset..*offset + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    };
    let section = |index: usize, field: usize| 0x148 + 40 * index + field;
    let mut trailing = stub_bytes();
    trailing.push(1);
    let cases = [
        ("a ROM", with(&[(0x58, 0x107)])),
        ("signed, 32 bits", {
            let mut bytes = stub_of_32_bits();
            bytes[0x58 + 132] = 8;
            bytes
        }),
        ("signed", with(&[(0x58 + 144, 0xa00), (0x58 + 148, 8)])),
        ("FileAlignment 0", with(&[(0x58 + 36, 0)])),
        ("FileAlignment 100", with(&[(0x58 + 36, 100)])),
        ("FileAlignment 2^31", with(&[(0x58 + 36, 1 << 31)])),
        ("SectionAlignment", with(&[(0x58 + 32, 16)])),
        ("small headers", with(&[(0x58 + 60, 0x100)])),
        ("large headers", with(&[(0x58 + 60, u32::MAX)])),
        ("headers over memory", with(&[(section(0, 12), 0)])),
        ("one place in memory", with(&[(section(1, 12), 0x1000)])),
        ("overlap in memory", with(&[(section(0, 8), u32::MAX)])),
        ("crooked address", with(&[(section(2, 12), 0x3010)])),
        ("one place in the file", with(&[(section(1, 20), 0x400)])),
        ("overlap in the file", with(&[(section(0, 16), 0x201)])),
        ("over the headers", with(&[(section(0, 20), 0)])),
        ("beyond the file", with(&[(section(2, 16), u32::MAX)])),
        ("far beyond the file", with(&[(section(2, 20), u32::MAX)])),
        ("trailing data", trailing),
    ];
    let mut messages = String::new();
    for (what, bytes) in cases {
        let error = Stub::parse(&bytes, SourceId::new(STUB)).unwrap_err();
        messages += &format!("{what}: {error}\n");
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn a_stub_whose_table_has_no_end_is_refused_when_it_must_grow() {
    let mut bytes = stub_bytes();
    bytes[0x1c0] = 7;
    let stub = Stub::parse(&bytes, SourceId::new(STUB)).unwrap();
    let sections = [Section {
        name: ".x".parse().unwrap(),
        content: Content::bytes(*b"x"),
    }];
    let error = made(&stub, &sections).unwrap_err().to_string();
    assert!(
        error.contains("the section table at offset 0x1c0"),
        "{error}"
    );
}

#[test]
fn sections_that_cannot_be_are_refused() {
    let section = |name: &str, length| Section {
        name: name.parse().unwrap(),
        content: Content::file(SourceId::new(1), length),
    };
    let huge = u64::from(u32::MAX) - 0x5000;
    let mut messages = String::new();
    for sections in [
        vec![section(".initrd", 0)],
        vec![section(".text", 1)],
        vec![section(".sbat", 0x201)],
        vec![section(".initrd", 1 << 32)],
        vec![section(".initrd", u64::MAX)],
        vec![section(".initrd", huge), section(".ucode", 0x5000)],
        vec![section(".initrd", 0xffff_b800)],
        (0..1022)
            .map(|index| section(&format!(".{index}"), 1))
            .collect(),
    ] {
        let error = made(&stub(), &sections).unwrap_err();
        messages += &format!("{error}\n");
    }
    for name in ["", ".toolong9", "/12", ".a b", ".é"] {
        let error = name.parse::<SectionName>().unwrap_err();
        messages += &format!("{error}\n");
    }
    let twice = |contents: Contents| Uki {
        base: contents,
        ..Uki::default()
    };
    let main = || (Profile::main(), Contents::default());
    for uki in [
        twice(Contents {
            cmdline: Some(text("a")),
            others: vec![section(".cmdline", 1)],
            ..Contents::default()
        }),
        Uki {
            profiles: vec![main()],
            ..Uki::default()
        },
    ] {
        messages += &format!("{}\n", uki.into_sections().unwrap_err());
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn profiles_are_named_so_that_entries_can_be() {
    for (id, title, why) in [
        ("", None, "is no name of a profile"),
        ("a b", None, "is no name of a profile"),
        ("a@b", None, "is no name of a profile"),
        ("a", Some("don't say \"no\""), "a title cannot have"),
    ] {
        let title = title.map(|title| title.parse().unwrap());
        let error = Profile::new(id, title).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn generations_of_all_parts_are_merged() {
    let stub: &[u8] = b"sbat,1,head\nstub,1,Stub\n\0\0\0";
    let kernel: &[u8] = b"sbat,1,other head\r\nlinux,2,Kernel";
    let merged = sbat::merge([stub, b"\0\0", kernel, sbat::ADDON.as_bytes()]).unwrap();
    insta::assert_snapshot!(merged);
    for (text, why) in [(&b"linux,1"[..], "begin with"), (b"sbat,\xff", "UTF-8")] {
        let error = sbat::merge([text]).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_kernel_tells_its_release() {
    let mut kernel = vec![0; 0x400];
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    kernel[0x20e..0x210].copy_from_slice(&0x80_u16.to_le_bytes());
    let version = b"6.1.0-1 (builder@host) #1 SMP\0";
    kernel[0x280..0x280 + version.len()].copy_from_slice(version);
    assert_eq!(uname::of_boot_header(&kernel), Some("6.1.0-1"));
    kernel[0x20e..0x210].fill(0xff);
    assert_eq!(uname::of_boot_header(&kernel), None);
    assert_eq!(uname::of_boot_header(b"MZ"), None);
    for (text, expected) in [
        (
            "Linux version %s (%s) Linux version 6.6.1 (gcc)",
            Some("6.6.1"),
        ),
        ("Linux version 6.6.1", None),
        ("Linux version ", None),
        ("Linux version 10.1 (a)", None),
        ("Linux version 6.6.1\n(a)", None),
    ] {
        assert_eq!(uname::of_banner(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn machines_are_packed_once_each() {
    let machine = |name: &str, ids: &[&str]| hwids::Machine {
        wanted: hwids::Wanted::Devicetree,
        name: name.to_owned(),
        value: "acme,board".to_owned(),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let id = "00112233-4455-6677-8899-AABBCCDDEEFF";
    let packed = hwids::pack(&[machine("Board", &[id]), machine("Board", &[id])]).unwrap();
    let mut expected = Vec::from(0x1000_001c_u32.to_le_bytes());
    expected.extend([0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]);
    expected.extend([0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
    expected.extend(56_u32.to_le_bytes());
    expected.extend(62_u32.to_le_bytes());
    expected.extend([0; 28]);
    expected.extend(b"Board\0acme,board\0");
    assert_eq!(packed, expected);
    for id in ["", "0011", "00112233-4455-6677-8899-AABBCCDDEEF+"] {
        assert!(hwids::pack(&[machine("Board", &[id])]).is_err(), "{id}");
    }
}

#[test]
fn firmware_has_its_name_in_front() {
    let content = efifw::content("acme", Content::bytes(*b"FW")).unwrap();
    let bytes: Vec<u8> = content
        .parts
        .iter()
        .flat_map(|part| match part {
            section::Part::Bytes(bytes) => bytes.to_vec(),
            _ => unreachable!("all in memory"),
        })
        .collect();
    assert_eq!(
        bytes,
        b"\xad\xde\xed\xfe\x10\0\0\0\x05\0\0\0\x02\0\0\0acme\0FW"
    );
    assert!(efifw::content("", Content::bytes(*b"FW")).is_err());
    assert!(efifw::content("acme", Content::default()).is_err());
}

proptest! {
    /// Whatever a stub says, it is refused or the result is what was asked for.
    #[test]
    fn a_stub_is_refused_or_becomes_what_was_asked_for(
        flips in prop::collection::vec((prop::sample::select(fields()), any::<u8>()), 0..6),
        lengths in prop::collection::vec(1..200_000_usize, 1..20),
    ) {
        let mut bytes = stub_bytes();
        for (offset, value) in flips {
            bytes[offset] = value;
        }
        let Ok(stub) = Stub::parse(&bytes, SourceId::new(STUB)) else {
            return Ok(());
        };
        let mut sources = sources(&lengths);
        sources[STUB] = bytes;
        let sections: Vec<_> = (1..sources.len())
            .map(|index| Section {
                name: format!(".{index}").parse().unwrap(),
                content: file(index, &sources),
            })
            .collect();
        let Ok(map) = made(&stub, &sections) else {
            return Ok(());
        };
        let bytes = render(&map, &sources);
        let headers = Headers::parse(&bytes).unwrap();
        let added = &headers.sections[headers.sections.len() - sections.len()..];
        for (index, section) in added.iter().enumerate() {
            let start = section.pointer as usize;
            let content = &bytes[start..start + section.virtual_size as usize];
            prop_assert_eq!(&section.name, sections[index].name.as_str());
            prop_assert!(content == sources[index + 1]);
            let large = content.len() as u64 >= ALIGNED_FROM;
            prop_assert!(!large || section.pointer % 4096 == 0);
        }
        // It holds together as a stub must, so that it could be one.
        prop_assert!(Stub::parse(&bytes, SourceId::new(STUB)).is_ok());
        let again = made(&stub, &sections).unwrap();
        prop_assert_eq!(again, map);
    }
}

/// The offsets of the headers: what is between them says nothing.
fn fields() -> Vec<usize> {
    (0..2).chain(0x3c..0x200).collect()
}
