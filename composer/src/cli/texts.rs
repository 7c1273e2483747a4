//! What `--help` and the manual pages say behind the options: examples first.
//!
//! A line that ends in a colon is a heading there, and the indented lines below it stay
//! as they are. `Exit status:` and `Files:` go to the pages of all commands.

/// Of the program.
pub const MAIN: &str = "\
Examples:
  compose image.toml                     write the image of a description
  compose image.toml -o disk.raw         … under another name
  compose image.toml --format qcow2      … for QEMU
  compose image.toml --format qcow2 --backing old.raw -o new.qcow2
                                         … as what differs from another image
  compose image.toml --compress zstd -o - | ssh host 'zstd -d >/dev/sdX'
                                         … to another machine
  compose --dry-run image.toml           show the layout and write nothing
  compose --definitions repart.d -o disk.raw
                                         write what systemd-repart's say
  compose update disk.raw image.toml     write what differs into an image
  compose repart image.toml -o repart.d  write systemd-repart's definitions
  compose inspect disk.raw               what is in an image
  compose ls disk.raw /EFI               what is in a directory of its ESP
  compose extract disk.raw /loader -o d  copy a directory out of it
  compose verify disk.raw --config image.toml
                                         compare it with its description

Exit status:
  0  done
  1  refused or failed
  2  wrong usage
  3  `verify` found differences

Files:
  image.toml             the description of an image, or image.json
  OUT/manifest.json      what is in a tree of esp-builder";

/// Of `inspect`.
pub const INSPECT: &str = "\
Examples:
  compose inspect disk.raw
  compose inspect disk.raw --json";

/// Of `ls`.
pub const LS: &str = "\
Examples:
  compose ls disk.raw
  compose ls disk.raw /EFI -R
  compose ls disk.raw xbootldr:/loader/entries";

/// Of `cat`.
pub const CAT: &str = "\
Examples:
  compose cat disk.raw /loader/loader.conf
  compose cat disk.raw 2:/loader/entries/linux.conf";

/// Of `extract`.
pub const EXTRACT: &str = "\
Examples:
  compose extract disk.raw -o esp
  compose extract disk.raw /EFI/Linux -o images";

/// Of `verify`.
pub const VERIFY: &str = "\
Examples:
  compose verify disk.raw
  compose verify disk.raw --config image.toml --json";

/// Of `update`.
pub const UPDATE: &str = "\
Examples:
  compose update disk.raw image.toml";

/// Of `repart`.
pub const REPART: &str = "\
Examples:
  compose repart image.toml -o repart.d
  compose repart --definitions old.d --architecture arm64 -o new.d";
