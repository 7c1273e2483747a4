use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use integration_tests::Peer;
use integration_tests::guest::GuestReport;
use tree_manifest::Sha256;

use crate::kit::{Kit, noise, partitions};

/// Sizes around those of blocks, and of what fits into one behind an inode.
const SIZES: [usize; 13] = [
    0, 1, 2911, 2912, 4063, 4064, 4065, 4095, 4096, 4097, 8191, 12_289, 300_001,
];

/// A kit with a tree of all that a file system may have a trouble with.
pub fn kit() -> Kit {
    let kit = Kit::empty();
    for (seed, size) in SIZES.into_iter().enumerate() {
        kit.write(&format!("tree/sizes/{size}"), noise(seed, size));
    }
    for number in 0..3000 {
        kit.write(&format!("tree/crowd/number {number}"), number.to_string());
    }
    let deep = "directory-".repeat(20);
    kit.write(&format!("tree/{deep}/{deep}/{deep}/file"), "deep");
    let names = ["!", "-", " ", ".hidden", "..", "~", "ünï 中文", "a\\x2db"];
    for name in names {
        kit.write(&format!("tree/names/{}", name.replace("..", "..a")), name);
    }
    kit.write(&format!("tree/names/{}", "x".repeat(255)), "long");
    kit.link("../sizes/4097", "tree/names/link");
    kit.link(&"/nowhere".repeat(511), "tree/names/long link");
    fs::hard_link(kit.path("tree/sizes/4097"), kit.path("tree/same")).unwrap();
    fs::create_dir(kit.path("tree/empty")).unwrap();
    let sparse = fs::File::create(kit.path("tree/sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    sparse.write_all_at(&noise(9, 5000), 3 << 20).unwrap();
    let chmod = Peer::host("chmod").dir(kit.root());
    chmod.args(["-R", "u=rwX,go=rX", "tree"]).ok();
    for (name, mode) in [("sizes/1", 0o6751), ("sizes/0", 0o600), ("empty", 0o1777)] {
        let permissions = Permissions::from_mode(mode);
        fs::set_permissions(kit.path("tree").join(name), permissions).unwrap();
    }
    kit
}

/// Numbers without a pattern, the same for the same seed.
struct Numbers(Vec<u8>);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        let bytes = [(); 4].map(|()| self.0.pop().unwrap());
        u32::from_le_bytes(bytes) as usize % end
    }
}

/// Writes a tree of some hundred files to a folder.
pub fn write_any_tree(kit: &Kit, folder: &str, seed: usize) {
    let mut numbers = Numbers(noise(seed, 64_000));
    let mut folders = vec![folder.to_owned()];
    for number in 0..300 {
        let above = folders[numbers.below(folders.len())].clone();
        let longest = if number % 3 == 0 { 240 } else { 12 };
        let filler = ["a", "-", " ", "~", "ü"][numbers.below(5)];
        let filler = filler.repeat(numbers.below(longest) / filler.len());
        let place = format!("{above}/{filler}{number}");
        match numbers.below(8) {
            0 if place.len() < 2000 => {
                fs::create_dir_all(kit.path(&place)).unwrap();
                folders.push(place);
            }
            1 => kit.link(&"x".repeat(1 + numbers.below(4000)), &place),
            2 => kit.write(&place, noise(number, numbers.below(200_000))),
            // Around the ends of blocks, with and without an inode before.
            3 => kit.write(
                &place,
                noise(number, 4096 * numbers.below(4) + 4030 + numbers.below(80)),
            ),
            4 => kit.write(&place, ""),
            _ => kit.write(&place, noise(number, numbers.below(6000))),
        }
    }
}

/// Composes where no program can be found.
pub fn compose(kit: &Kit) {
    let compose = kit.compose().env("PATH", kit.path("nothing"));
    compose.args(["-q", "image.toml"]).ok();
}

/// A run that writes nothing tells the size of what a run then makes.
pub fn judge_dry_run(kit: &Kit) {
    let before = kit.names();
    let dry = kit
        .compose()
        .env("PATH", "")
        .args(["--dry-run", "--json", "image.toml"]);
    let dry: serde_json::Value = serde_json::from_str(&dry.ok()).unwrap();
    assert_eq!(kit.names(), before);
    compose(kit);
    let size = partitions(&kit.image(), 512)[0].size;
    let told = &dry["layout"]["partitions"][0]["raw-size"];
    assert_eq!(told.as_u64(), Some(size), "{dry}");
}

/// Copies a partition out of the image, to `volume`.
pub const CUT: &str = "dd if=image.raw of=volume bs=4096 status=none conv=sparse";

/// The start of a script that judges a partition, in `volume`.
pub fn cut(kit: &Kit, number: usize) -> String {
    let found = &partitions(&kit.image(), 512)[number - 1];
    let (start, size) = (found.start / 4096, found.size / 4096);
    format!("set -e\n{CUT} skip={start} count={size}\n")
}

/// Gives a program a capability, and attributes of users to others.
const ATTRIBUTES: &str = "import os
os.setxattr('tree/sizes/4097', 'security.capability', bytes.fromhex('0100000200040000' + '00' * 12))
os.setxattr('tree/sizes/300001', 'user.note', b'a\\n\\0b')
os.setxattr('tree/sizes/300001', 'user.other', b'')
os.setxattr('tree/crowd', 'user.folder', b'x' * 1000)";

/// Gives some of the tree extended attributes.
pub fn set_attributes(kit: &Kit) {
    let python = Peer::sid("python3").dir(kit.root());
    python.args(["-c", ATTRIBUTES]).ok();
}

/// Everything that is seen of a folder.
pub const LIST: &str = "import os, sys, hashlib
os.chdir(sys.argv[1])
for place, folders, files in os.walk('.'):
    folders.sort()
    for name in sorted(folders + files) + ['.']:
        path = os.path.join(place, name)
        found = os.lstat(path)
        kind = found.st_mode & 0o170000
        is_link, is_file = kind == 0o120000, kind == 0o100000
        said = os.readlink(path) if is_link else ''
        if is_file:
            said = hashlib.sha256(open(path, 'rb').read()).hexdigest()
        names = [] if is_link else sorted(os.listxattr(path))
        names = [name for name in names if name.startswith(('user.', 'security.cap'))]
        attributes = [(name, os.getxattr(path, name)) for name in names]
        size = 0 if kind == 0o040000 else found.st_size
        print(repr(path), oct(found.st_mode), found.st_nlink, found.st_uid, found.st_gid,
              int(found.st_mtime), size, said, attributes)
";

/// What the guest says of a volume in which it is: the digest of each file, what one lookup in a
/// large folder finds, links, permissions and owners.
pub const LOOK: &str = "find . -type f -exec sha256sum {} + | sort -k 2 | sed 's|^\\([0-9a-f]*\\) *\\./\\(.*\\)|file.\\2=\\1|'
echo \"lookup=$(cat 'crowd/number 2718')\"
[ -e 'crowd/number 3000' ] || echo 'missing=yes'
echo \"long=$(readlink 'names/long link' | wc -c)\"
echo \"through=$(cat names/link | sha256sum | cut -c-64)\"
echo \"links=$(stat -c %h same) $(stat -c %i same) $(stat -c %i sizes/4097)\"
echo \"program=$(stat -c '%a %u %g %Y %s' sizes/1)\"
echo \"folders=$(stat -c '%a %h' .) $(stat -c '%a %h' empty)\"
";

/// Compares what [`LOOK`] said with the tree of a kit.
pub fn judge_look(report: &GuestReport, kit: &Kit) {
    let expected = digests(&kit.path("tree"));
    assert!(expected.len() > 3000);
    for (path, digest) in &expected {
        // A report has no names with backslashes, and splits at the first `=`.
        let key = format!("file.{path}");
        assert_eq!(report.get(&key), Some(&**digest), "{key}");
    }
    for (key, value) in [
        ("lookup", "2718"),
        ("missing", "yes"),
        // With a line break.
        ("long", "4089"),
        ("through", &expected["sizes/4097"]),
        ("program", "6751 0 0 1 1"),
    ] {
        assert_eq!(report.get(key), Some(value), "{key}");
    }
    let links: Vec<&str> = report.get("links").unwrap().split(' ').collect();
    assert_eq!(links[0], "2");
    assert_eq!(links[1], links[2]);
}

/// The digests of the files of a folder, by their paths.
fn digests(folder: &Path) -> BTreeMap<String, String> {
    let find = Peer::host("find").args(["-type", "f", "-printf", "%P\\n"]);
    let said = find.dir(folder).ok();
    let digest = |path| Sha256::of(&fs::read(folder.join(path)).unwrap()).to_string();
    said.lines()
        .map(|path| (path.to_owned(), digest(path)))
        .collect()
}
