"""A root with a system profile of many generations, as Nix leaves it, and an ESP.

Five generations in a row share a kernel and an initrd. Kernels, initrds and the boot
loader are small: no run without changes reads them to their end.
"""

import hashlib
import json
import os
import struct

# How many generations in a row boot one kernel with one initrd.
SHARED_BY = 5

KERNEL_BYTES = 32 << 10
INITRD_BYTES = 64 << 10
LOADER_BYTES = 120 << 10

PROFILES = "nix/var/nix/profiles"


def store_name(name):
    """A name of the store, with a hash as Nix writes it."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    # Nix has no `e` in its digits.
    return f"{digest.replace('e', 'g')}-{name}"


def pe_image(text, size):
    """A PE image of an EFI application for x64, with a section `.sdmagic`."""
    head = bytearray(512)
    head[:2] = b"MZ"
    head[0x3C] = 0x40
    struct.pack_into("<4sHH", head, 0x40, b"PE\0\0", 0x8664, 1)
    struct.pack_into("<H", head, 0x54, 240)
    struct.pack_into("<H", head, 0x58, 0x20B)
    head[0x58 + 68] = 10
    head[0x58 + 108] = 16
    section = (b".sdmagic", len(text), 0, len(text), 512)
    struct.pack_into("<8sIIII", head, 0x58 + 240, *section)
    return bytes(head) + text + os.urandom(size - 512 - len(text))


def document(number, toplevel, kernel, initrd):
    """What NixOS writes, with the kernel parameters of a laptop: some 2 KB."""
    modules = [f"module{index}.option_{index}=setting-{number % 7}" for index in range(36)]
    return {
        "org.nixos.bootspec.v1": {
            "init": f"{toplevel}/init",
            "initrd": f"{initrd}/initrd",
            "initrdSecrets": None,
            "kernel": f"{kernel}/bzImage",
            "kernelParams": ["root=fstab", "quiet", "loglevel=4", *modules],
            "label": f"NixOS Warbler 26.05.{number} (Linux 6.18.{number // SHARED_BY})",
            "system": "x86_64-linux",
            "toplevel": toplevel,
        },
        "org.nixos.specialisation.v1": {},
        "org.nixos.systemd-boot": {"sortKey": "nixos"},
        "org.example.vendor.v1": {"notes": ["x" * 64] * 4},
    }


class Machine:
    """A root and an ESP in a directory."""

    def __init__(self, place):
        self.root = place / "root"
        self.esp = place / "esp"
        self.esp.mkdir(parents=True)
        loader = pe_image(b"#### LoaderInfo: systemd-boot 260 ####", LOADER_BYTES)
        self.systemd = "/nix/store/" + store_name("systemd")
        self._write(f"{self.systemd}/lib/systemd/boot/efi/systemd-bootx64.efi", loader)
        (self.root / PROFILES).mkdir(parents=True)
        self.count = 0

    def add_generations(self, count):
        for _ in range(count):
            self._add_generation()

    def _add_generation(self):
        self.count += 1
        number = self.count
        release = f"6.18.{number // SHARED_BY}"
        kernel = "/nix/store/" + store_name(f"linux-{release}")
        initrd = "/nix/store/" + store_name(f"initrd-linux-{release}")
        if not self._host(kernel).exists():
            self._write(f"{kernel}/bzImage", pe_image(release.encode(), KERNEL_BYTES))
            self._write(f"{initrd}/initrd", os.urandom(INITRD_BYTES))
        toplevel = "/nix/store/" + store_name(f"nixos-system-host-26.05.{number}")
        text = json.dumps(document(number, toplevel, kernel, initrd), indent=2)
        self._write(f"{toplevel}/boot.json", text.encode())
        self._host(f"{toplevel}/systemd").symlink_to(self.systemd)
        link = f"system-{number}-link"
        (self.root / PROFILES / link).symlink_to(toplevel)
        profile = self.root / PROFILES / "system"
        profile.unlink(missing_ok=True)
        profile.symlink_to(link)

    def _host(self, path):
        return self.root / path.lstrip("/")

    def _write(self, path, content):
        file = self._host(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def files(self):
        """What an installation looks at: links, documents and sources, and the ESP."""
        links = (self.root / PROFILES).iterdir()
        store = (self.root / "nix/store").rglob("*")
        on_esp = self.esp.rglob("*")
        looked_at = [*links, *(path for path in store if path.is_file()),
                     *(path for path in on_esp if path.is_file())]
        return sorted(map(str, looked_at))

    def snapshot(self):
        """All that a write to the ESP would change: the inode and the times of every
        file and directory. Reading changes none of it."""
        everything = [self.esp, *self.esp.rglob("*")]
        return {path.relative_to(self.esp): identity(path.lstat()) for path in everything}


def identity(status):
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
