"""The ESP that every case makes an image of, and its descriptions.

30 generations of a system, each with a kernel of 14 MiB and an initrd of 30 MiB:
102 files and directories, 1.4 GB. The big files are random bytes, which no layer
can compress or deduplicate; none ends on the border of a block.
"""

import hashlib
import json
import os

GENERATIONS = 30
MIB = 1 << 20

# The partition of the peers that cannot size one from its content.
PARTITION_MIB = 1500

ENTRY = """title Linux
version Generation {number}
linux /EFI/nixos/kernel-{number}.efi
initrd /EFI/nixos/initrd-{number}.efi
options init=/nix/store/system-{number}/init loglevel=4
"""

DESCRIPTION = """[image]
seed = "0b8a4f4e-8f3c-4f0e-9a51-6a5c2d6a7d10"
output = "out/image.raw"

[[partition]]
type = "esp"
format = "vfat"
tree = "{tree}"
"""

REPART = f"""[Partition]
Type=esp
Format=vfat
CopyFiles=/esp:/
SizeMinBytes={PARTITION_MIB}M
"""

GENIMAGE = f"""image esp.vfat {{
  vfat {{
    extraargs = "-F 32"
    files = {{ "EFI", "loader" }}
  }}
  size = {PARTITION_MIB}M
}}
image image.raw {{
  hdimage {{ partition-table-type = "gpt" }}
  partition esp {{
    partition-type-uuid = "U"
    image = "esp.vfat"
  }}
}}
"""


def contents():
    """The path and the bytes of every file."""
    yield "EFI/BOOT/BOOTX64.EFI", os.urandom(120_000)
    yield "EFI/systemd/systemd-bootx64.efi", os.urandom(120_000)
    yield "loader/loader.conf", b"timeout 5\ndefault nixos-*\n"
    yield "loader/entries.srel", b"type1\n"
    for number in range(1, GENERATIONS + 1):
        entry = ENTRY.format(number=number).encode()
        yield f"loader/entries/nixos-generation-{number}.conf", entry
        yield f"EFI/nixos/kernel-{number}.efi", os.urandom(14 * MIB + 37 * number)
        yield f"EFI/nixos/initrd-{number}.efi", os.urandom(30 * MIB + 101 * number)


def write(place):
    """Writes the tree `esp`, its manifest and the descriptions into a directory."""
    entries = {}
    for empty in ("EFI/Linux", "loader/keys"):
        (place / "esp" / empty).mkdir(parents=True)
        entries[empty] = {"type": "directory"}
    for path, content in contents():
        file = place / "esp" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        entries[path] = {
            "type": "file",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "source": {"path": f"esp/{path}"},
        }
    manifest = {
        "format": "tree-manifest",
        "version": 1,
        "trees": {"esp": dict(sorted(entries.items()))},
    }
    # On the disk first: compose trusts what changed before the manifest did.
    os.sync()
    (place / "manifest.json").write_text(json.dumps(manifest))
    (place / "directory.toml").write_text(DESCRIPTION.format(tree="esp"))
    (place / "manifest.toml").write_text(DESCRIPTION.format(tree="manifest.json#esp"))
    (place / "genimage.cfg").write_text(GENIMAGE)
    (place / "repart.d").mkdir()
    (place / "repart.d/10-esp.conf").write_text(REPART)


def files(place):
    """The files of the tree, relative to the place."""
    found = (path for path in (place / "esp").rglob("*") if path.is_file())
    return sorted(path.relative_to(place) for path in found)
