//! Whole volumes, read back by another implementation.

use std::collections::BTreeMap;

use extents::{Content, ExtentMap};
use proptest::prelude::*;

use super::*;
use crate::ext4::tests::reader::bytes_of;
use crate::tree::made_up::{any_name, any_size, bytes, id, path, source};

/// What a volume says of one path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Found {
    mode: u16,
    links: u32,
    size: u64,
    content: Vec<u8>,
    attributes: Vec<u8>,
    number: u64,
}

/// Reads as the kernel does; fails on what it refuses.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&self, at: u64, length: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(self.bytes(at, length as u64));
        u64::from_le_bytes(bytes)
    }

    fn bytes(&self, at: u64, length: u64) -> &[u8] {
        &self.0[usize::try_from(at).unwrap()..][..usize::try_from(length).unwrap()]
    }

    fn inode(&self, number: u64) -> Found {
        let at = number * 32;
        let format = self.number(at, 2);
        let is_long = format & 1 == 1;
        let (head, size, links) = if is_long {
            (64, self.number(at + 8, 8), self.number(at + 44, 4))
        } else {
            (32, self.number(at + 8, 4), self.number(at + 6, 2))
        };
        let attributes = match self.number(at + 2, 2) {
            0 => 0,
            count => 12 + 4 * (count - 1),
        };
        let mut found = Found {
            mode: u16::try_from(self.number(at + 4, 2)).unwrap(),
            links: u32::try_from(links).unwrap(),
            size,
            content: Vec::new(),
            attributes: self.bytes(at + head, attributes).to_vec(),
            number,
        };
        let block = self.number(at + 16, 4);
        let (whole, inline) = match format >> 1 {
            0 => (size, 0),
            2 => (size / 4096 * 4096, size % 4096),
            _ => panic!("format {format}"),
        };
        if whole > 0 {
            found.content.extend(self.bytes(block * 4096, whole));
        }
        if inline > 0 {
            let at = at + head + attributes;
            assert_eq!(at / 4096, (at + inline - 1) / 4096, "in one block");
            found.content.extend(self.bytes(at, inline));
        } else {
            assert_eq!(format >> 1, 0, "nothing is inline");
        }
        found
    }

    /// Everything, by path; directories have no content.
    fn tree(&self) -> BTreeMap<String, Found> {
        let mut all = BTreeMap::new();
        let root = self.number(1024 + 14, 2);
        self.enter(root, root, "", &mut all);
        all
    }

    fn enter(&self, number: u64, parent: u64, path: &str, all: &mut BTreeMap<String, Found>) {
        let mut found = self.inode(number);
        let content = std::mem::take(&mut found.content);
        all.insert(path.to_owned(), found);
        let entries = entries(&content);
        assert!(entries.is_sorted_by(|a, b| a.0.as_bytes() < b.0.as_bytes()));
        let find = |name| entries.iter().find(|entry| entry.0 == name).unwrap().1;
        assert_eq!((find("."), find("..")), (number, parent));
        for (name, inner, kind) in entries {
            let path = format!("{path}/{name}");
            match kind {
                2 if name == "." || name == ".." => {}
                2 => self.enter(inner, number, &path, all),
                _ => {
                    let found = self.inode(inner);
                    let expected = if kind == 1 { 0o10 } else { 0o12 };
                    assert_eq!(found.mode >> 12, expected);
                    all.insert(path, found);
                }
            }
        }
    }
}

/// The entries of a directory: name, number of the inode, type.
fn entries(content: &[u8]) -> Vec<(String, u64, u8)> {
    let short = |bytes: &[u8]| usize::from(u16::from_le_bytes(bytes.try_into().unwrap()));
    let mut entries = Vec::new();
    for block in content.chunks(4096) {
        let count = short(&block[8..10]) / 12;
        let name_at = |index: usize| short(&block[index * 12 + 8..index * 12 + 10]);
        for (index, entry) in block.chunks(12).take(count).enumerate() {
            let end = if index + 1 < count {
                name_at(index + 1)
            } else {
                block.len()
            };
            let name = &block[name_at(index)..end];
            let name = name.split(|byte| *byte == 0).next().unwrap();
            let name = String::from_utf8(name.to_vec()).unwrap();
            assert!((1..=255).contains(&name.len()));
            let number = u64::from_le_bytes(entry[..8].try_into().unwrap());
            entries.push((name, number, entry[10]));
        }
    }
    entries
}

fn planned(tree: &FileTree) -> ExtentMap {
    plan(tree, &Sources::default(), &id()).unwrap()
}

/// Everything in the volume of a tree without sources.
fn read_back(tree: &FileTree) -> BTreeMap<String, Found> {
    Reader(&bytes_of(&planned(tree), &[])).tree()
}

#[test]
fn an_empty_volume_has_a_superblock_and_a_root() {
    let bytes = bytes_of(&planned(&FileTree::default()), &[]);
    assert_eq!(bytes.len(), 4096);
    let found = Reader(&bytes).tree();
    assert_eq!(found.keys().collect::<Vec<_>>(), [""]);
    assert_eq!((found[""].mode, found[""].links), (0o040_755, 2));
    let superblock = &bytes[1024..1152];
    let lines: Vec<_> = superblock.chunks(16).map(secure_boot::hex).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn whole_blocks_of_sources_are_aligned_and_their_ends_follow_the_inodes() {
    let mut sources = Sources::default();
    let mut tree = FileTree::default();
    let sizes: [u64; 9] = [0, 1, 4064, 4065, 4095, 4096, 4097, 8193, 300_000];
    let mut contents = Vec::new();
    for (index, size) in (0..).zip(sizes) {
        let name = format!("d/{index}");
        let content = source(&mut sources, &name, index, size);
        tree.add_file(path(&name), content).unwrap();
        let byte = u8::try_from(index).unwrap() + 1;
        contents.push(vec![byte; usize::try_from(size).unwrap()]);
    }
    let map = plan(&tree, &sources, &id()).unwrap();
    for extent in map.extents() {
        if let Content::Slice { offset, .. } = extent.content {
            assert_eq!(offset % 4096, 0);
            assert!(extent.length < 4096 || extent.start % 4096 == 0);
        }
    }
    let found = Reader(&bytes_of(&map, &contents)).tree();
    for (index, content) in contents.iter().enumerate() {
        let found = &found[&format!("/d/{index}")];
        assert!(found.content == *content, "{} bytes", content.len());
        assert_eq!((found.mode, found.links), (0o100_644, 1));
    }
    // Each byte comes from its source once.
    let slices = map.extents().iter();
    let slices = slices.filter(|extent| matches!(extent.content, Content::Slice { .. }));
    assert_eq!(
        slices.map(|extent| extent.length).sum::<u64>(),
        sizes.iter().sum::<u64>()
    );
}

#[test]
fn hard_links_share_an_inode_and_directories_count_those_in_them() {
    let mut sources = Sources::default();
    let mut tree = FileTree::default();
    for (name, inode) in [("a/one", 1), ("b/c/two", 1), ("b/other", 2)] {
        let content = source(&mut sources, name, inode, 3);
        tree.add_file(path(name), content).unwrap();
    }
    let map = plan(&tree, &sources, &id()).unwrap();
    let contents = [b"one", b"one", b"two"].map(|text| text.to_vec());
    let found = Reader(&bytes_of(&map, &contents)).tree();
    assert_eq!(found["/a/one"], found["/b/c/two"]);
    let links = ["", "/a", "/b", "/b/c", "/a/one", "/b/other"].map(|path| found[path].links);
    assert_eq!(links, [4, 2, 3, 2, 2, 1]);
}

#[test]
fn modes_links_and_attributes_are_kept() {
    let mut tree = FileTree::default();
    tree.add_file(path("program"), bytes(&[7; 5000])).unwrap();
    tree.set_mode(path("program"), 0o6751);
    let capability = ("security.capability".to_owned(), vec![1; 20]);
    tree.set_attributes(&path("program"), vec![capability.clone()]);
    let long = "/nowhere".repeat(511);
    tree.add_symlink(path("long"), long.clone()).unwrap();
    tree.add_symlink(path("short"), "program".to_owned())
        .unwrap();
    tree.add_directory(path("folder")).unwrap();
    tree.set_mode(path("folder"), 0o1777);
    // More than a block.
    let large = ("user.large".to_owned(), vec![2; 9000]);
    tree.set_attributes(&path("folder"), vec![large.clone()]);
    let found = read_back(&tree);
    assert_eq!(found["/program"].mode, 0o106_751);
    assert_eq!(found["/program"].content, [7; 5000]);
    assert_eq!(found["/folder"].mode, 0o041_777);
    assert_eq!(found["/long"].content, long.as_bytes());
    assert_eq!(found["/short"].content, b"program");
    for (path, attribute) in [("/program", capability), ("/folder", large)] {
        let expected = attributes::render(&[attribute]).unwrap();
        assert_eq!(found[path].attributes, expected);
    }
}

#[test]
fn names_before_the_dot_and_a_hundred_thousand_in_a_folder_are_found() {
    let mut tree = FileTree::default();
    for name in ["!", "-", " x", "..a", ".a", "/", "~", "ü"] {
        let name = name.replace('/', "0");
        tree.add_file(path(&name), bytes(b"x")).unwrap();
    }
    for number in 0..100_000 {
        let name = format!("crowd/{number}");
        tree.add_file(path(&name), bytes(b"")).unwrap();
    }
    let found = read_back(&tree);
    assert_eq!(found.len(), 1 + 8 + 1 + 100_000);
    assert_eq!(found["/crowd"].links, 2);
    assert!(found.contains_key("/crowd/99999") && found.contains_key("/!"));
}

#[test]
fn a_folder_of_more_than_65535_folders_and_a_file_over_4_gib_have_long_inodes() {
    let mut tree = FileTree::default();
    for number in 0..65_534 {
        tree.add_directory(path(&format!("many/{number}"))).unwrap();
    }
    assert_eq!(read_back(&tree)["/many"].links, 65_536);
    let size = (5 << 30) + 1;
    let mut sources = Sources::default();
    let mut tree = FileTree::default();
    let content = source(&mut sources, "large", 1, size);
    tree.add_file(path("large"), content).unwrap();
    let map = plan(&tree, &sources, &id()).unwrap();
    assert_eq!(map.length(), 2 * BLOCK + (5 << 30));
    let head = map.slice(0, 2 * BLOCK);
    let Content::Bytes(inode) = &head.extents().last().unwrap().content else {
        // The end of the file follows its inode.
        let Content::Bytes(inode) = &head.extents()[0].content else {
            panic!("a slice")
        };
        assert_eq!(inode.len(), 4096 + 64);
        assert_eq!(inode[4096], 5);
        assert_eq!(inode[4096 + 8..4096 + 16], size.to_le_bytes());
        return;
    };
    panic!("{} bytes and no slice", inode.len());
}

#[test]
fn what_erofs_cannot_hold_is_refused() {
    let mut sources = Sources::default();
    let mut refuse = |change: &mut dyn FnMut(&mut FileTree, &mut Sources)| {
        let mut tree = FileTree::default();
        change(&mut tree, &mut sources);
        plan(&tree, &sources, &id()).unwrap_err().to_string()
    };
    let errors = [
        refuse(&mut |tree, _| {
            let name = path(&"x".repeat(256));
            tree.add_directory(name).unwrap();
        })
        .replace(&"x".repeat(256), "LONG"),
        refuse(&mut |tree, _| tree.add_symlink(path("link"), "/".repeat(4096)).unwrap()),
        refuse(&mut |tree, _| {
            tree.add_directory(path("folder")).unwrap();
            tree.set_attributes(&path("folder"), vec![("x.y".to_owned(), vec![])]);
        }),
        refuse(&mut |tree, sources| {
            let content = source(sources, "vast", 1, 17 << 40);
            tree.add_file(path("vast"), content).unwrap();
        }),
    ];
    insta::assert_snapshot!(errors.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_tree_is_read_back(
        files in prop::collection::vec(
            (prop::collection::vec(any_name(), 1..4), any_size(), 0..4_u8, 0..0o10000_u32),
            0..60,
        ),
    ) {
        let (mut tree, mut sources) = (FileTree::default(), Sources::default());
        let mut contents = Vec::new();
        let mut expected = BTreeMap::new();
        for (index, (names, size, kind, mode)) in (0_u64..).zip(files) {
            let place = path(&names.join("/"));
            let filler = vec![u8::try_from(index % 251).unwrap() + 1; size];
            let mut grown = tree.clone();
            let added = match kind {
                0 => grown.add_file(place.clone(), bytes(&filler)),
                1 => {
                    contents.push(filler.clone());
                    let content = source(&mut sources, &names[0], index, size as u64);
                    grown.add_file(place.clone(), content)
                }
                2 => grown.add_symlink(place.clone(), "x".repeat(size % 4095 + 1)),
                _ => grown.add_directory(place.clone()),
            };
            if added.is_err() {
                continue;
            }
            tree = grown;
            tree.set_mode(place.clone(), mode);
            let content = match kind {
                2 => "x".repeat(size % 4095 + 1).into_bytes(),
                3 => Vec::new(),
                _ => filler,
            };
            expected.insert(format!("/{place}"), (u16::try_from(mode).unwrap(), content));
        }
        let map = plan(&tree, &sources, &id()).unwrap();
        prop_assert_eq!(map.length() % BLOCK, 0);
        let all = bytes_of(&map, &contents);
        let mut found = Reader(&all).tree();
        prop_assert_eq!(found.len(), tree.iter().count() + 1);
        for (place, (mode, content)) in expected {
            let found = found.remove(&place).unwrap();
            prop_assert_eq!(found.mode & 0o7777, mode);
            prop_assert!(found.content == content, "{}", place);
        }
    }
}
