//! Whole volumes, read back by another implementation.

pub(crate) mod reader;

use std::collections::BTreeMap;

use extents::{Content, SourceId};
use proptest::prelude::*;

use self::reader::{Inode, bytes_of};
use super::*;
use crate::tree::FileContent;
use crate::tree::made_up::{any_name, any_size, bytes, id, path, source};

/// Blocks of a group.
const GROUP: u64 = 32768;

/// Content of so many blocks, which are not to be read.
fn blocks(count: u64) -> FileContent {
    let mut map = ExtentMap::hole(count * BLOCK);
    map.push_slice(0, count * BLOCK, SourceId::new(0), 0);
    FileContent::Pieces(map)
}

fn tree_of(files: impl IntoIterator<Item = (&'static str, FileContent)>) -> FileTree {
    let mut tree = FileTree::default();
    for (name, content) in files {
        tree.add_file(path(name), content).unwrap();
    }
    tree
}

/// A map whose slices are as long as they can be.
fn joined(map: &ExtentMap) -> ExtentMap {
    let mut slices: Vec<(u64, u64, Content)> = Vec::new();
    for extent in map.extents() {
        match (slices.last_mut(), &extent.content) {
            (
                Some((start, length, Content::Slice { source, offset })),
                Content::Slice {
                    source: next,
                    offset: at,
                },
            ) if source == next && *start + *length == extent.start && *offset + *length == *at => {
                *length += extent.length;
            }
            _ => slices.push((extent.start, extent.length, extent.content.clone())),
        }
    }
    let mut joined = ExtentMap::hole(map.length());
    for (start, length, content) in slices {
        match content {
            Content::Bytes(bytes) => joined.push_bytes(start, bytes),
            Content::Slice { source, offset } => joined.push_slice(start, length, source, offset),
        }
    }
    joined
}

/// The volume of the least size.
fn planned(tree: &FileTree, sources: &Sources) -> ExtentMap {
    let size = least_size(tree, sources, id().uuid).unwrap();
    let map = plan(tree, sources, &id(), size).unwrap();
    assert_eq!(map.length(), size);
    map
}

/// Everything in the volume of a tree, whose sources are not to be read.
fn read_back(tree: &FileTree, sources: &Sources) -> BTreeMap<String, Inode> {
    reader::read(&planned(tree, sources), &[]).objects
}

/// The volume without anything of so many blocks.
fn empty(blocks: u64) -> reader::Volume {
    let tree = FileTree::default();
    let map = plan(&tree, &Sources::default(), &id(), blocks * BLOCK).unwrap();
    assert_eq!(map.length(), blocks * BLOCK);
    reader::read(&map, &[])
}

#[test]
fn an_empty_volume_has_a_superblock_and_a_root() {
    let volume = empty(2048);
    let found = volume.objects.iter();
    let found = found.map(|(path, inode)| (path.as_str(), inode.mode, inode.links, inode.size));
    let found: Vec<_> = found.collect();
    let lost = ("/lost+found", 0o040_700, 2, 16384);
    assert_eq!(found, [("", 0o040_755, 3, 4096), lost]);
    let lines = volume.superblock.0.chunks(32).zip((0..).step_by(32));
    let lines = lines.filter(|(line, _)| *line != [0; 32]);
    let lines: Vec<_> = lines
        .map(|(line, at)| format!("{at:03x} {}", secure_boot::hex(line)))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn blocks_of_sources_are_aligned_and_follow_each_other() {
    let (mut sources, mut tree) = (Sources::default(), FileTree::default());
    let mut contents = Vec::new();
    let sizes = [0, 1, 4095, 4096, 4097, 8192, 300_000];
    for (index, size) in (0..).zip(sizes) {
        let name = format!("d/{index}");
        let content = source(&mut sources, &name, index, size);
        tree.add_file(path(&name), content).unwrap();
        let byte = u8::try_from(index).unwrap() + 1;
        contents.push(vec![byte; usize::try_from(size).unwrap()]);
    }
    let map = planned(&tree, &sources);
    assert_eq!(map, planned(&tree, &sources));
    let slices = map.extents().iter();
    let slices = slices.filter(|extent| matches!(extent.content, Content::Slice { .. }));
    let mut end = None;
    for slice in slices {
        assert!(slice.start.is_multiple_of(BLOCK));
        assert!(end.is_none_or(|end| end == slice.start));
        end = Some(slice.end().next_multiple_of(BLOCK));
    }
    let found = reader::read(&map, &contents).objects;
    for (index, content) in contents.iter().enumerate() {
        let inode = &found[&format!("/d/{index}")];
        assert!(bytes_of(&inode.content, &contents) == *content);
        assert_eq!((inode.mode, inode.links), (0o100_644, 1));
    }
}

#[test]
fn holes_take_no_blocks() {
    let mut sources = Sources::default();
    let sparse = source(&mut sources, "sparse", 1, 1 << 40);
    let data = [
        (0, 1),
        (5000, 100),
        (8191, 2),
        (40960, 8192),
        (1 << 39, 4096),
    ];
    sources.set_data(SourceId::new(0), data.to_vec());
    let nothing = source(&mut sources, "nothing", 2, 1 << 43);
    sources.set_data(SourceId::new(1), Vec::new());
    let mut pieces = ExtentMap::hole(100_000);
    pieces.push_bytes(4095, *b"ab");
    pieces.push_slice(50_000, 20_000, SourceId::new(2), 77);
    let full = source(&mut sources, "full", 3, 30_000);
    let tree = tree_of([
        ("sparse", sparse),
        ("nothing", nothing),
        ("pieces", FileContent::Pieces(pieces.clone())),
        ("full", full),
    ]);
    let found = read_back(&tree, &sources);
    let of = |path| {
        let inode: &Inode = &found[path];
        (inode.size, inode.sectors / 8, inode.extents)
    };
    // The first, the second and the third block in one run.
    assert_eq!(of("/sparse"), (1 << 40, 3 + 2 + 1, 3));
    assert_eq!(of("/nothing"), (1 << 43, 0, 0));
    assert_eq!(of("/pieces"), (100_000, 2 + 6, 2));
    assert_eq!(of("/full"), (30_000, 8, 1));
    assert_eq!(joined(&found["/pieces"].content), pieces);
    let mut expected = ExtentMap::hole(1 << 40);
    for (start, length) in data {
        expected.push_slice(start, length, SourceId::new(0), start);
    }
    assert_eq!(joined(&found["/sparse"].content), joined(&expected));
}

#[test]
fn hard_links_share_an_inode_and_directories_count_those_in_them() {
    let (mut sources, mut tree) = (Sources::default(), FileTree::default());
    for (name, inode) in [("a/one", 1), ("b/c/two", 1), ("b/other", 2)] {
        let content = source(&mut sources, name, inode, 3);
        tree.add_file(path(name), content).unwrap();
    }
    // A name more than an inode has.
    for number in 0..=65000 {
        let name = format!("many/{number:05}");
        let content = source(&mut sources, &name, 3, 0);
        tree.add_file(path(&name), content).unwrap();
    }
    let found = read_back(&tree, &sources);
    assert_eq!(found["/a/one"], found["/b/c/two"]);
    let links = ["", "/a", "/b", "/b/c", "/a/one", "/b/other"].map(|path| found[path].links);
    assert_eq!(links, [6, 2, 3, 2, 2, 1]);
    let links = ["/many/00000", "/many/64999", "/many/65000"].map(|path| found[path].links);
    assert_eq!(links, [65000, 65000, 1]);
}

#[test]
fn modes_links_and_attributes_are_kept() {
    let mut tree = FileTree::default();
    tree.add_file(path("program"), bytes(&[7; 5000])).unwrap();
    tree.set_mode(path("program"), 0o6751);
    tree.add_directory(path("folder")).unwrap();
    tree.set_mode(path("folder"), 0o1777);
    let targets = [1, 59, 60, 61, 4095].map(|length| "x".repeat(length));
    for target in &targets {
        let place = path(&format!("link-{}", target.len()));
        tree.add_symlink(place.clone(), target.clone()).unwrap();
        let note = ("trusted.note".to_owned(), vec![1; 1000]);
        tree.set_attributes(&place, vec![note]);
    }
    let of = |name: &str, length| (name.to_owned(), vec![2; length]);
    let attributes = [
        ("program", vec![of("security.capability", 20)]),
        // Those in the inode, and those in a block, in another order than here.
        (
            "folder",
            vec![
                of("user.b", 0),
                of("user.a", 3),
                of("user.longer", 60),
                of("trusted.x", 1),
                of("security.y", 3000),
                of("user.z", 700),
            ],
        ),
        ("link-60", vec![of("user.whole-inode", 56)]),
        ("link-59", vec![of("user.more-than-that", 60)]),
        ("link-1", vec![of("user.whole-block", 4032)]),
    ];
    for (place, attributes) in &attributes {
        tree.set_attributes(&path(place), attributes.clone());
    }
    let found = read_back(&tree, &Sources::default());
    assert_eq!(found["/program"].mode, 0o106_751);
    assert_eq!(bytes_of(&found["/program"].content, &[]), [7; 5000]);
    assert_eq!(found["/folder"].mode, 0o041_777);
    for target in &targets {
        let inode = &found[&format!("/link-{}", target.len())];
        assert_eq!(inode.mode, 0o120_777);
        assert_eq!(inode.target, target.as_bytes());
    }
    for (place, attributes) in attributes {
        let found = &found[&format!("/{place}")].attributes;
        assert_eq!(*found, attributes.into_iter().collect(), "{place}");
    }
    let sectors = ["/link-59", "/link-60", "/link-1", "/link-4095"];
    assert_eq!(sectors.map(|path| found[path].sectors), [8, 8, 8, 16]);
}

#[test]
fn a_folder_for_what_was_lost_is_kept_where_the_tree_has_one() {
    let mut tree = tree_of([("a", bytes(b"")), ("lost+found/deep/file", bytes(b"x"))]);
    tree.set_mode(path("lost+found"), 0o750);
    tree.add_file(path("z/lost+found"), bytes(b"y")).unwrap();
    let found = read_back(&tree, &Sources::default());
    let lost = &found["/lost+found"];
    assert_eq!((lost.number, lost.mode, lost.links), (11, 0o040_750, 3));
    assert_eq!(found[""].links, 4);
    let mut numbers: Vec<u32> = found.values().map(|inode| inode.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 11, 12, 13, 14, 15, 16]);
}

#[test]
fn directories_have_an_index_where_they_have_more_than_a_block() {
    // Entries of 24 bytes: 169 with the dots and a rest, 170 of which are one leaf.
    let of = |count: usize| {
        let mut tree = FileTree::default();
        for number in 0..count {
            let name = format!("{number:016}");
            tree.add_file(path(&format!("crowd/{name}")), bytes(b""))
                .unwrap();
        }
        let found = read_back(&tree, &Sources::default());
        assert_eq!(found.len(), count + 3);
        let crowd = &found["/crowd"];
        (crowd.is_indexed, crowd.size / BLOCK)
    };
    let found = [1, 169, 170, 171, 340].map(of);
    assert_eq!(
        found,
        [(false, 1), (false, 1), (true, 2), (true, 3), (true, 3)]
    );
}

#[test]
fn names_before_the_dot_and_a_hundred_thousand_in_a_folder_are_found() {
    let mut tree = FileTree::default();
    for name in ["!", "-", " x", "..a", ".a", "...", "~", "ü", "🦀"] {
        tree.add_file(path(name), bytes(b"x")).unwrap();
    }
    for number in 0..100_000 {
        tree.add_file(path(&format!("crowd/{number}")), bytes(b""))
            .unwrap();
    }
    let found = read_back(&tree, &Sources::default());
    assert_eq!(found.len(), 2 + 9 + 1 + 100_000);
    assert!(found.contains_key("/crowd/99999") && found.contains_key("/!"));
}

#[test]
fn an_index_of_more_than_507_blocks_has_two_levels() {
    let mut tree = FileTree::default();
    for number in 0..8000 {
        let name = format!("crowd/{number:0255}");
        tree.add_file(path(&name), bytes(b"")).unwrap();
    }
    let found = read_back(&tree, &Sources::default());
    assert_eq!(found.len(), 3 + 8000);
    // The first block of the index, two others, and blocks of 15 names.
    assert_eq!(found["/crowd"].size, (1 + 2 + 534) * BLOCK);
}

#[test]
fn a_folder_of_65000_folders_does_not_count_them() {
    let mut tree = FileTree::default();
    for number in 0..64_999 {
        tree.add_directory(path(&format!("many/{number}"))).unwrap();
    }
    let map = plan(&tree, &Sources::default(), &id(), 512 << 20).unwrap();
    let found = reader::read(&map, &[]).objects;
    assert_eq!((found.len(), found["/many"].links), (3 + 64_999, 1));
}

#[test]
fn large_files_lie_between_tables_and_copies() {
    let mut sources = Sources::default();
    let sizes = [(128 << 20) + 1, 700 << 20, (70 << 30) + 5];
    let names = ["one", "two", "three"];
    let files: Vec<_> = (0..)
        .zip(names)
        .zip(sizes)
        .map(|((inode, name), size)| (name, source(&mut sources, name, inode, size)))
        .collect();
    let tree = tree_of(files.clone());
    let found = read_back(&tree, &sources);
    for (name, content) in files {
        let inode = &found[&format!("/{name}")];
        assert_eq!(joined(&inode.content), content.extents());
    }
    let [small, large, vast] = ["/one", "/two", "/three"].map(|path| &found[path]);
    assert_eq!((small.depth, large.depth, vast.depth), (0, 1, 1));
    // A run is as long as a group at most.
    assert!(large.extents > 5 && vast.extents > 560);
}

#[test]
fn files_of_many_runs_have_a_tree_of_extents() {
    for (runs, depth, blocks) in [
        (4, 0, 0),
        (5, 1, 1),
        (340, 1, 1),
        (341, 1, 2),
        (1360, 1, 4),
        (1361, 2, 6),
        // As many steps as runs, or this takes minutes.
        (40_000, 2, 118 + 1),
    ] {
        let mut sources = Sources::default();
        let content = source(&mut sources, "sparse", 1, runs * 2 * BLOCK);
        let data = (0..runs).map(|run| (run * 2 * BLOCK, BLOCK)).collect();
        sources.set_data(SourceId::new(0), data);
        let found = read_back(&tree_of([("sparse", content)]), &sources);
        let inode = &found["/sparse"];
        assert_eq!((inode.extents as u64, inode.depth), (runs, depth));
        assert_eq!(inode.sectors / 8, runs + blocks);
    }
}

#[test]
fn a_last_group_that_is_too_small_is_left_out() {
    // Groups 1, 3 and 27 begin with a copy, the others do not.
    for (groups, has_copy) in [(1, true), (2, false), (3, true), (16, false), (27, true)] {
        let full = groups * GROUP;
        let rests: Vec<u64> = (0..GROUP).collect();
        let is_left_out = |rest: &u64| empty(full + rest).blocks == full;
        let least = rests[rests.partition_point(is_left_out)];
        let volume = empty(full + least);
        assert_eq!(volume.blocks, full + least);
        // Bitmaps, and blocks of 16 inodes each.
        let tables = 2 + volume.superblock.number(0x28, 4) / 16;
        // A superblock, descriptors, and room for more of them.
        let copy = 1 + 1 + volume.superblock.number(0xce, 2);
        let head = if has_copy { copy } else { 0 };
        assert_eq!(least, head + tables + 50, "after {groups}");
    }
}

#[test]
fn names_of_one_hash_go_on_in_the_next_block() {
    // Found by trying: of two names out of ten thousands that is to be expected.
    let twins = [85760, 179_434].map(|number: u32| format!("{number:016}"));
    let of = |name: &str| hash::of(name, id().uuid);
    assert_eq!(of(&twins[0]), of(&twins[1]));
    let names = (0..1000).map(|number| format!("{number:016}"));
    let (before, behind): (Vec<_>, Vec<_>) = names.partition(|name| of(name) < of(&twins[0]));
    // A block has 170 of these names.
    for (count, goes_on) in [(168, false), (169, true), (170, false)] {
        let names = before.iter().take(count).chain(&twins);
        let mut tree = FileTree::default();
        for name in names.chain(behind.iter().take(170)) {
            tree.add_directory(path(&format!("crowd/{name}"))).unwrap();
        }
        let found = read_back(&tree, &Sources::default());
        let index = bytes_of(&found["/crowd"].content.slice(0, BLOCK), &[]);
        // The hash of the second block of names.
        assert_eq!(index[40] & 1 == 1, goes_on);
        assert_eq!(found.len(), 3 + count + 2 + 170);
    }
}

#[test]
fn journals_are_those_of_mke2fs() {
    for (blocks, journal) in [
        (2047, 0),
        (2048, 1024),
        (32767, 1024),
        (32768, 4096),
        (262_143, 4096),
        (262_144, 8192),
        (524_287, 8192),
        (524_288, 16384),
        (4_194_303, 16384),
        (4_194_304, 32768),
        (8_388_608, 65536),
        (16_777_216, 131_072),
        (33_554_432, 262_144),
    ] {
        let volume = empty(blocks);
        assert_eq!((volume.blocks, volume.journal), (blocks, journal));
    }
}

#[test]
fn volumes_may_have_more_blocks_than_32_bits_number() {
    // 4, 16 and 20 TiB: at 16 there is no room for more descriptors.
    for (blocks, has_room) in [(1 << 30, true), (1 << 32, false), (5 << 30, false)] {
        let volume = empty(blocks);
        assert_eq!(volume.blocks, blocks);
        let reserved = volume.superblock.number(0xce, 2);
        assert_eq!(reserved > 0, has_room, "{blocks}");
    }
}

#[test]
fn times_are_those_up_to_2446() {
    let tree = FileTree::default();
    let volume = |time| {
        let id = VolumeId { time, ..id() };
        plan(&tree, &Sources::default(), &id, 1 << 20)
    };
    let last = (1 << 34) - (1 << 31) - 1;
    for time in [
        0,
        1,
        (1 << 31) - 1,
        1 << 31,
        (1 << 32) - 1,
        1 << 32,
        3 << 32,
        last,
    ] {
        let volume = reader::read(&volume(time).unwrap(), &[]);
        assert!(volume.objects.values().all(|inode| inode.time == time));
        let made = volume.superblock.number(0x108, 4) | volume.superblock.number(0x276, 1) << 32;
        assert_eq!(made, time);
    }
    let error = volume(last + 1).unwrap_err().to_string();
    assert!(error.contains("the last of ext4, in 2446"), "{error}");
}

#[test]
fn what_ext4_cannot_hold_is_refused() {
    let mut sources = Sources::default();
    let mut refuse = |change: &mut dyn FnMut(&mut FileTree, &mut Sources)| {
        let mut tree = FileTree::default();
        change(&mut tree, &mut sources);
        let size = least_size(&tree, &sources, id().uuid);
        let error = plan(&tree, &sources, &id(), 1 << 47)
            .unwrap_err()
            .to_string();
        assert_eq!(size.unwrap_err().to_string(), error);
        error
    };
    let huge = plan(&FileTree::default(), &Sources::default(), &id(), 129 << 40);
    let mut many = FileTree::default();
    for name in 0..9 {
        let content = blocks((15 << 40) / BLOCK);
        many.add_file(path(&name.to_string()), content).unwrap();
    }
    let attribute = |name: &str, length| vec![(name.to_owned(), vec![0; length])];
    let errors = [
        refuse(&mut |tree, _| {
            let name = path(&"x".repeat(256));
            tree.add_directory(name).unwrap();
        })
        .replace(&"x".repeat(256), "LONG"),
        refuse(&mut |tree, _| tree.add_symlink(path("link"), "/".repeat(4096)).unwrap()),
        refuse(&mut |tree, _| tree.add_symlink(path("link"), String::new()).unwrap()),
        refuse(&mut |tree, _| tree.add_symlink(path("link"), "a\0".to_owned()).unwrap()),
        refuse(&mut |tree, _| {
            tree.add_directory(path("folder")).unwrap();
            tree.set_attributes(&path("folder"), attribute("system.posix_acl_access", 4));
        }),
        refuse(&mut |tree, _| {
            tree.add_directory(path("folder")).unwrap();
            tree.set_attributes(&path("folder"), attribute("user.large", 4096));
        }),
        refuse(&mut |tree, sources| {
            let content = source(sources, "vast", 1, (16 << 40) - BLOCK + 1);
            tree.add_file(path("vast"), content).unwrap();
        }),
        refuse(&mut |tree, _| tree.add_file(path("lost+found"), bytes(b"")).unwrap()),
        refuse(&mut |tree, _| {
            tree.add_symlink(path("lost+found"), "tmp".to_owned())
                .unwrap();
        }),
        huge.unwrap_err().to_string(),
        least_size(&many, &Sources::default(), id().uuid)
            .unwrap_err()
            .to_string(),
    ];
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn what_is_to_spare_is_there_after_each_leap_of_the_journal_and_each_group() {
    let sources = Sources::default();
    let leaps = [
        0..200,
        900..2100,
        27_000..34_000,
        58_000..66_000,
        250_000..256_000,
        500_000..512_000,
    ];
    for range in leaps {
        let step = usize::try_from((range.end - range.start) / 23).unwrap();
        for count in range.step_by(step) {
            let tree = tree_of([("file", blocks(count))]);
            let volume = reader::read(&planned(&tree, &sources), &[]);
            let (size, spare) = (volume.blocks, volume.free_blocks);
            let taken = size - spare;
            assert!(spare >= taken / 100 + 32, "{spare} of {size}");
            // One more group has a copy and tables of up to 1100 blocks.
            assert!(spare < taken / 100 + 1200, "{spare} of {size}");
        }
    }
}

#[test]
fn what_is_needed_is_enough_and_not_much_more() {
    let sources = Sources::default();
    for count in (0..2200).step_by(97).chain((29_000..67_000).step_by(1931)) {
        let tree = tree_of([("file", blocks(count)), ("other", bytes(&[1; 9000]))]);
        let contents = Contents::of(&tree, &sources, id().uuid).unwrap();
        let mut all = count..;
        let least = all.find(|blocks| layout(&contents, *blocks).is_ok());
        let least = least.unwrap();
        let too_small = plan(&tree, &sources, &id(), (least - 1) * BLOCK);
        let Err(Error::Outgrown { needed, available }) = too_small else {
            panic!("{count} in {}", least - 1);
        };
        assert_eq!(available, ByteSize((least - 1) * BLOCK));
        assert!(needed.bytes() / BLOCK < least + least / 100 + 100);
        let map = plan(&tree, &sources, &id(), needed.bytes()).unwrap();
        reader::read(&map, &[]);
    }
}

/// Any name, or the one that ext4 has of its own.
fn any_name_here() -> impl Strategy<Value = String> {
    prop_oneof![4 => any_name(), 1 => Just("lost+found".to_owned())]
}

/// What is in a block of a file: nothing at all, or these bytes.
fn any_pieces() -> impl Strategy<Value = Vec<Option<u8>>> {
    prop::collection::vec(prop::option::of(1..=255_u8), 0..30)
}

fn pieces(blocks: &[Option<u8>]) -> ExtentMap {
    let mut map = ExtentMap::hole(blocks.len() as u64 * BLOCK);
    for (at, byte) in (0..).step_by(4096).zip(blocks) {
        if let Some(byte) = byte {
            map.push_bytes(at, [*byte; 4096]);
        }
    }
    map
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_tree_is_read_back(
        files in prop::collection::vec(
            (prop::collection::vec(any_name_here(), 1..4), any_size(), any_pieces(), 0..5_u8, 0..0o10000_u32),
            0..60,
        ),
        more in 0..70_000_u64,
    ) {
        let (mut tree, mut sources) = (FileTree::default(), Sources::default());
        let mut contents = Vec::new();
        let mut expected = BTreeMap::new();
        for (index, (names, size, blocks, kind, mode)) in (0_u64..).zip(files) {
            let place = path(&names.join("/"));
            let filler = vec![u8::try_from(index % 251).unwrap() + 1; size];
            let target = "x".repeat(size % 4095 + 1);
            let mut grown = tree.clone();
            let added = match kind {
                0 => grown.add_file(place.clone(), bytes(&filler)),
                1 => {
                    contents.push(filler.clone());
                    let content = source(&mut sources, &names[0], index, size as u64);
                    grown.add_file(place.clone(), content)
                }
                2 => grown.add_symlink(place.clone(), target.clone()),
                3 => grown.add_file(place.clone(), FileContent::Pieces(pieces(&blocks))),
                _ => grown.add_directory(place.clone()),
            };
            if added.is_err() || names == ["lost+found"] && kind < 4 {
                continue;
            }
            tree = grown;
            tree.set_mode(place.clone(), mode);
            let note = ("user.note".to_owned(), vec![7; size % 4000]);
            tree.set_attributes(&place, vec![note]);
            let content = match kind {
                2 => target.into_bytes(),
                3 => bytes_of(&pieces(&blocks), &[]),
                4 => Vec::new(),
                _ => filler,
            };
            expected.insert(format!("/{place}"), (mode, content, size % 4000));
        }
        let size = least_size(&tree, &sources, id().uuid).unwrap() + more * BLOCK;
        let map = plan(&tree, &sources, &id(), size).unwrap();
        prop_assert_eq!(map.length(), size);
        prop_assert_eq!(&map, &plan(&tree, &sources, &id(), size).unwrap());
        let mut found = reader::read(&map, &contents).objects;
        let added = usize::from(tree.iter().all(|(path, _)| path.as_str() != "lost+found"));
        prop_assert_eq!(found.len(), tree.iter().count() + 1 + added);
        for (place, (mode, content, note)) in expected {
            let inode = found.remove(&place).unwrap();
            prop_assert_eq!(u32::from(inode.mode) & 0o7777, mode);
            prop_assert_eq!(inode.attributes["user.note"].len(), note);
            let actual = match inode.mode >> 12 {
                0o10 => bytes_of(&inode.content, &contents),
                _ => inode.target,
            };
            prop_assert!(actual == content, "{}", place);
        }
    }
}
