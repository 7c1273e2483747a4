use std::fs;

use crate::kit::{Kit, file_system_programs, partitions};

#[test]
fn file_systems_are_large_enough_for_every_tree() {
    let kit = Kit::empty();
    file_system_programs(&kit);
    for (count, size) in [(0, 0), (1, 40 << 20), (3000, 10), (700, 5000)] {
        kit.write("many/file", "");
        for number in 0..count {
            kit.write(
                &format!("many/{}/a name of some length {number}", number % 7),
                vec![7; size],
            );
        }
        for format in ["btrfs", "xfs", "ext4"] {
            let partition = "[[partition]]\ntype = \"root\"\ntree = \"many\"\n";
            kit.describe("", &format!("{partition}format = \"{format}\"\n"));
            kit.compose_with_programs().args(["-q", "image.toml"]).ok();
        }
        let content = count * size;
        let found = partitions(&kit.image(), 512)[0].size;
        let limit = 14 << 20;
        assert!(
            found < (content + content / 8 + count * 5000 + limit) as u64,
            "{found} for {content}"
        );
        fs::remove_dir_all(kit.path("many")).unwrap();
    }
}
