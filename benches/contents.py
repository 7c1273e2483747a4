"""Measures partitions of many files: what compose makes of them beside the bare programs
and systemd-repart, and what qcow2 and dm-verity cost.

Started by scripts/bench, as root and in a mount namespace of its own.
docs/benchmarks.md explains the method.
"""

import os
import shutil
import sys
from statistics import median

from cases import Case
from compare import ROUNDS, factor, measure_memory, measure_time, mib, mounted, say

FOLDERS = 250
FILES_OF_A_FOLDER = 100
MIB = 1 << 20

# As large as one to a few hundred KiB, 1 GB in all; most files of a store are small.
SIZES = tuple(4096 if number % 4 else 153_600 for number in range(FILES_OF_A_FOLDER))

# Everything runs in the chroot, where the programs are current.
COMPOSE = shutil.which("compose")

# Random bytes: the least work, the same for everybody.
SQUASHFS = "-comp zstd -Xcompression-level 1"

BARE = {
    "btrfs": "truncate -s 3G out/volume && mkfs.btrfs -q -f -r store out/volume",
    "erofs": "mkfs.erofs --quiet --all-root -T1 out/volume store",
    "ext4": "mke2fs -q -F -t ext4 -b 4096 -m 0 -E root_owner=0:0 -d store out/volume 1300M",
    "squashfs": f"mksquashfs store out/volume -quiet -no-progress -all-root {SQUASHFS}",
    "xfs": "truncate -s 1300M out/volume && mkfs.xfs -q -p store out/volume",
}

# How many times the bare program may take, and how many times systemd-repart must.
MOST_OF_BARE = 1.1
LEAST_OF_REPART = {"btrfs": 1, "erofs": 3, "ext4": 3, "squashfs": 1, "xfs": 1}
MOST_OF_RAW = 1.3

HEAD = """[image]
seed = "0b8a4f4e-8f3c-4f0e-9a51-6a5c2d6a7d10"
output = "out/image.raw"

"""

PARTITION = """[[partition]]
type = "usr-x86-64"
format = "{format}"
copy-files = ["store:/"]
"""

KEYS = {"squashfs": 'compression = "zstd"\ncompression-level = "1"\n'}

VERITY = """verity = "data"
verity-match-key = "usr"

[[partition]]
type = "usr-x86-64-verity"
verity = "hash"
verity-match-key = "usr"
"""

REPART = """[Partition]
Type=usr-x86-64
Format={format}
CopyFiles=/store:/
{keys}"""

REPART_KEYS = {
    "btrfs": "SizeMinBytes=3G\n",
    "erofs": "Minimize=best\n",
    "ext4": "SizeMinBytes=1300M\n",
    "squashfs": "Minimize=best\nCompression=zstd\nCompressionLevel=1\n",
    "xfs": "SizeMinBytes=1300M\n",
}


def ours(name, description, options=""):
    return Case(name, f"{COMPOSE} -q {options} {description}.toml", in_sid=True)


def repart(kind):
    script = f"""systemd-repart --definitions={kind}.d --copy-source="$PWD" \\
  --empty=create --size=auto --dry-run=no --offline=yes out/image.raw"""
    return Case(f"{kind}, systemd-repart", script, in_sid=True)


def cases():
    """All cases, in the order of a round."""
    listed = []
    for kind, bare in BARE.items():
        listed.append(ours(f"{kind}, compose", kind))
        listed.append(Case(f"{kind}, its program", bare, in_sid=True))
        listed.append(repart(kind))
    listed.append(ours("erofs, compose, qcow2", "erofs", "--format qcow2"))
    listed.append(ours("erofs, compose, dm-verity", "verity"))
    hashed = f"{BARE['erofs']} && veritysetup format out/volume out/hashes"
    listed.append(Case("erofs, its program, veritysetup", hashed, in_sid=True))
    return listed


def write(place):
    """Writes the files and all descriptions of them."""
    for folder in range(FOLDERS):
        path = place / "store" / f"{folder:03}-package" / "share"
        path.mkdir(parents=True)
        for number, size in enumerate(SIZES):
            (path / f"file-{number:02}").write_bytes(os.urandom(size + number))
    for path in [place / "store", *(place / "store").iterdir()]:
        path.chmod(0o755)
    for kind in BARE:
        partition = PARTITION.format(format=kind) + KEYS.get(kind, "")
        (place / f"{kind}.toml").write_text(HEAD + partition)
        (place / f"{kind}.d").mkdir()
        text = REPART.format(format=kind, keys=REPART_KEYS[kind])
        (place / f"{kind}.d/10-usr.conf").write_text(text)
    (place / "verity.toml").write_text(HEAD + PARTITION.format(format="erofs") + VERITY)


def measure():
    """The times of each case by round, and its peak memory."""
    with mounted("xfs") as place:
        say(f"making {FOLDERS * FILES_OF_A_FOLDER} files")
        write(place)
        memory = {case.name: measure_memory(case, place) for case in cases()}
        times = {case.name: [] for case in cases()}
        for number in range(ROUNDS):
            say(f"round {number + 1} of {ROUNDS}")
            for case in cases():
                times[case.name].append(measure_time(case, place))
    return times, memory


def ratio(times, over, under):
    """The median of the ratios of the rounds."""
    return median(a / b for a, b in zip(times[over], times[under]))


def verdict(wanted, measured, is_met):
    print(f"  {wanted:60}{factor(measured):>9}  {'met' if is_met else 'missed'}")


def main():
    sys.stdout.reconfigure(line_buffering=True)
    times, memory = measure()
    total = FOLDERS * sum(SIZES) // MIB
    print(f"\n{FOLDERS * FILES_OF_A_FOLDER} files of {total} MiB, on xfs\n")
    print(f"  {'':38}{'median':>10}{'memory':>12}")
    for name, found in times.items():
        milliseconds = f"{median(found) / 1000:.0f} ms"
        print(f"  {name:38}{milliseconds:>10}{mib(memory[name]):>12}")
    print("\nTargets\n")
    for kind, least in LEAST_OF_REPART.items():
        name = f"{kind}, compose"
        found = ratio(times, name, f"{kind}, its program")
        wanted = f"{kind}: at most {MOST_OF_BARE}x of its program"
        verdict(wanted, found, found <= MOST_OF_BARE)
        found = ratio(times, f"{kind}, systemd-repart", name)
        verdict(f"{kind}: {least}x faster than systemd-repart", found, found >= least)
    found = ratio(times, "erofs, compose, qcow2", "erofs, compose")
    verdict(f"qcow2: at most {MOST_OF_RAW}x of raw", found, found <= MOST_OF_RAW)
    found = ratio(times, "erofs, compose, dm-verity", "erofs, its program, veritysetup")
    wanted = f"dm-verity: at most {MOST_OF_BARE}x of both programs"
    verdict(wanted, found, found <= MOST_OF_BARE)


if __name__ == "__main__":
    main()
