"""What is measured: a shell script for each case, and the targets.

A script runs in the place, where `esp` is the tree, and leaves its result in `out`.
"""

from dataclasses import dataclass

from workload import PARTITION_MIB


@dataclass(frozen=True)
class Case:
    name: str
    script: str
    # Whether it needs the tools of the Debian sid chroot.
    in_sid: bool = False
    # Where it makes sense; everywhere if empty.
    places: tuple = ()


@dataclass(frozen=True)
class Target:
    place: str
    peer: str
    # How many times as fast as the peer we must be; below 1, how much slower we
    # may be.
    factor: float


DIRECTORY = "compose, directory"
MANIFEST = "compose, manifest"
# What the targets are for: the ways in that users take.
OURS = (DIRECTORY, MANIFEST)

REPART = "systemd-repart"
MTOOLS = "mkfs.vfat + mcopy + sfdisk"
GENIMAGE = "genimage"
CAT = "cat of all files"
CLONE = "cp -r --reflink=always"

# The file systems that share blocks between files.
REFLINK = ("xfs", "btrfs")

# --offline=yes is how it works in a build sandbox, where nothing can be mounted.
REPART_SCRIPT = """systemd-repart --definitions=repart.d --copy-source="$PWD" \
  --empty=create --size=auto --dry-run=no --offline=yes out/image.raw"""

MTOOLS_SCRIPT = f"""truncate -s {PARTITION_MIB + 2}M out/image.raw
echo 'start=2048, size={PARTITION_MIB}M, type=uefi' |
  sfdisk --quiet --label gpt --no-reread out/image.raw
mkfs.vfat -F 32 --offset 2048 out/image.raw {PARTITION_MIB * 1024}
mcopy -s -i out/image.raw@@1M esp/EFI esp/loader ::"""

# An empty root: genimage would copy it before it starts.
GENIMAGE_SCRIPT = """mkdir out/root
genimage --config genimage.cfg --inputpath esp \
  --rootpath out/root --tmppath out/tmp --outputpath out"""


def cases(files):
    """All cases, in the order of a round. `files` is what `cat` reads."""
    return (
        Case(DIRECTORY, "compose directory.toml"),
        Case(MANIFEST, "compose manifest.toml"),
        Case("compose, directory, --sync", "compose --sync directory.toml"),
        Case("compose, manifest, --digests always",
             "compose --digests always manifest.toml"),
        Case(CLONE, "cp -r --reflink=always esp out/esp", places=REFLINK),
        Case(CAT, f"cat {' '.join(map(str, files))} >out/image.raw"),
        Case(MTOOLS, MTOOLS_SCRIPT),
        Case(GENIMAGE, GENIMAGE_SCRIPT),
        Case(REPART, REPART_SCRIPT, in_sid=True),
    )


TARGETS = (
    Target("xfs", REPART, 100),
    Target("xfs", MTOOLS, 30),
    Target("xfs", CLONE, 1 / 3),
    Target("ext4", CAT, 1 / 1.1),
    Target("ext4", REPART, 5),
)


def memory_target(clusters):
    """The most resident memory, in bytes, for a file system of so many clusters."""
    return (16 << 20) + 8 * clusters
