"""Measures Unified Kernel Images: one beside ukify and `cat`, and a menu of them as a disk
image beside ukify and systemd-repart.

Started by scripts/bench, as root and in a mount namespace of its own.
docs/benchmarks.md explains the method.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from statistics import median

from cases import Case
from compare import ROUNDS, factor, measure_memory, measure_time, mib, mounted, say
from live_workload import pe_image

GENERATIONS = 30
MIB = 1 << 20

# Where the tools of systemd keep their own, in the chroot and as seen from the host.
BINARIES = "usr/lib/systemd/boot/efi"
SID = Path(os.environ["ESP_COMPOSE_CACHE"]) / "sid"

# The most resident memory, in bytes.
MEMORY = 16 * MIB

INPUTS = "--stub=stub --cmdline=quiet --uname=6.18"

OURS = f"""esp-builder uki --quiet {INPUTS} --os-release os-release \\
  --kernel kernel-1 --initrd initrd-1 -o out/1.efi"""
CAT = "cat stub kernel-1 initrd-1 >out/1.efi"
UKIFY = f"""ukify build {INPUTS} --os-release=@os-release \\
  --linux=kernel-1 --initrd=initrd-1 --output=out/1.efi"""

FOLDER = "mkdir -p out/esp/EFI/Linux"
MANY = f"""{FOLDER}
for ((n = 1; n <= {GENERATIONS}; n++)); do
  esp-builder uki --quiet {INPUTS} --os-release os-release \\
    --kernel kernel-$n --initrd initrd-$n -o out/esp/EFI/Linux/$n.efi
done
compose directory.toml"""
PLANNED = """esp-builder --quiet --generations list.json --layout uki --stub stub \\
  --systemd-boot loader --by-reference"""
TREE = f"""{PLANNED} out/tree
compose manifest.toml"""
# As on NixOS, where files have the names of the store and not of their content.
UNREAD = f"""{PLANNED} --store-dir "$(pwd -P)" --digests never out/tree
compose manifest.toml"""
PEERS = f"""{FOLDER}
for ((n = 1; n <= {GENERATIONS}; n++)); do
  ukify build {INPUTS} --os-release=@os-release \\
    --linux=kernel-$n --initrd=initrd-$n --output=out/esp/EFI/Linux/$n.efi
done
systemd-repart --definitions=repart.d --copy-source="$PWD/out" \\
  --empty=create --size=auto --dry-run=no --offline=yes out/image.raw"""

ONE = (
    Case("esp-builder uki", OURS),
    Case("cat of its parts", CAT),
    Case("ukify", UKIFY, in_sid=True),
)
MENU = (
    Case("esp-builder uki, compose", MANY),
    Case("esp-builder --layout uki, compose", TREE),
    Case("the same, --digests never", UNREAD),
    Case("ukify, systemd-repart", PEERS, in_sid=True),
)

DESCRIPTION = """[image]
seed = "0b8a4f4e-8f3c-4f0e-9a51-6a5c2d6a7d10"
output = "out/image.raw"

[[partition]]
type = "esp"
format = "vfat"
tree = "{tree}"
"""

REPART = """[Partition]
Type=esp
Format=vfat
CopyFiles=/esp:/
SizeMinBytes=1500M
"""


def document(place, number):
    """A system whose kernel and initrd lie in the place."""
    return {
        "org.nixos.bootspec.v1": {
            "system": "x86_64-linux",
            "label": f"26.05.{number}",
            "kernel": str(place / f"kernel-{number}"),
            "initrd": str(place / f"initrd-{number}"),
            "init": f"/nix/store/{number}-nixos/init",
            "toplevel": f"/nix/store/{number}-nixos",
            "kernelParams": ["quiet"],
        },
        "org.nixos.specialisation.v1": {},
    }


def kernel_image(number):
    """A kernel as long as one, that tells its release where those of x86 do."""
    kernel = bytearray(pe_image(b"kernel", 14 * MIB + 37 * number))
    kernel[0x202:0x206] = b"HdrS"
    kernel[0x20E:0x210] = (0x100).to_bytes(2, "little")
    release = b"6.18.0 (builder@host) #1\0"
    kernel[0x300:0x300 + len(release)] = release
    return kernel


def write(place, count):
    """Writes kernels, initrds and all that is made of them, into a directory."""
    shutil.copy(SID / BINARIES / "linuxx64.efi.stub", place / "stub")
    shutil.copy(SID / BINARIES / "systemd-bootx64.efi", place / "loader")
    (place / "os-release").write_text("ID=nixos\nPRETTY_NAME=NixOS\n")
    generations = []
    for number in range(1, count + 1):
        (place / f"kernel-{number}").write_bytes(kernel_image(number))
        (place / f"initrd-{number}").write_bytes(os.urandom(30 * MIB + 101 * number))
        path = place / f"boot-{number}.json"
        path.write_text(json.dumps(document(place, number)))
        generations.append({"number": number, "bootspec": str(path)})
    head = {"format": "generation-list", "version": 1}
    (place / "list.json").write_text(json.dumps({**head, "generations": generations}))
    (place / "directory.toml").write_text(DESCRIPTION.format(tree="out/esp"))
    (place / "manifest.toml").write_text(DESCRIPTION.format(tree="out/tree/manifest.json#esp"))
    (place / "repart.d").mkdir()
    (place / "repart.d/10-esp.conf").write_text(REPART)


def measure(kind, count, cases):
    """The times of each case by round, and its peak memory."""
    with mounted(kind) as place:
        say(f"{kind}: making kernels and initrds")
        write(place, count)
        memory = {case.name: measure_memory(case, place) for case in cases}
        times = {case.name: [] for case in cases}
        for number in range(ROUNDS):
            say(f"{kind}: round {number + 1} of {ROUNDS}")
            for case in cases:
                times[case.name].append(measure_time(case, place))
    return times, memory


def report(title, cases, times, memory):
    """Every case, and how it compares with the first."""
    ours = cases[0].name
    print(f"\n{title}\n")
    print(f"  {'':38}{'median':>10}{'of the first':>14}{'memory':>12}")
    for name, found in times.items():
        ratio = median(a / b for a, b in zip(found, times[ours]))
        milliseconds = f"{median(found) / 1000:.1f} ms"
        print(f"  {name:38}{milliseconds:>10}{factor(ratio):>14}{mib(memory[name]):>12}")


def verdict(wanted, measured, is_met):
    print(f"  {wanted:60}{measured:>9}  {'met' if is_met else 'missed'}")


def faster(times, peer, ours):
    return median(a / b for a, b in zip(times[peer], times[ours]))


def main():
    sys.stdout.reconfigure(line_buffering=True)
    one, one_memory = measure("ext4", 1, ONE)
    report("An image of 44 MiB, on ext4", ONE, one, one_memory)
    menu, menu_memory = measure("xfs", GENERATIONS, MENU)
    report(f"{GENERATIONS} images as a disk image, on xfs", MENU, menu, menu_memory)
    print("\nTargets\n")
    own, cat, ukify = (case.name for case in ONE)
    ratio = 1 / faster(one, cat, own)
    verdict("an image: at most 1.1x of cat", factor(ratio), ratio <= 1.1)
    ratio = faster(one, ukify, own)
    verdict("an image: at least 10x faster than ukify", factor(ratio), ratio >= 10)
    *ours, peers = (case.name for case in MENU)
    for name in ours:
        ratio = faster(menu, peers, name)
        wanted = f"{name}: at least 200x faster"
        verdict(wanted, factor(ratio), ratio >= 200)
    used = max(memory for name, memory in menu_memory.items() if name != peers)
    used = max(used, one_memory[own])
    verdict(f"at most {mib(MEMORY)} of memory", mib(used), used <= MEMORY)


if __name__ == "__main__":
    main()
