"""Measures signing a whole tree, beside sbsign.

Started by scripts/bench. docs/benchmarks.md explains the method.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path
from statistics import median

from compare import CACHE, ROUNDS, factor, run, say
from live_workload import store_name

GENERATIONS = 10

KERNEL = CACHE.parent / "kernel/vmlinuz"
LOADER = CACHE.parent / "sid/usr/lib/systemd/boot/efi/systemd-bootx64.efi"

# Each program once, in place of the one without a signature.
SBSIGN = """for program in "$@"; do
  sbsign --key db.key --cert db.pem --output "$program" "$program" 2>/dev/null
done
"""


def write(place):
    """A root with generations, each with a real kernel of its own, and a key."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    kernel = bytearray(KERNEL.read_bytes())
    initrd = "/nix/store/" + store_name("initrd")
    put(place, f"{initrd}/initrd", b"initrd")
    for number in range(1, GENERATIONS + 1):
        # Another kernel with the same headers.
        kernel[len(kernel) // 2] = number
        store = "/nix/store/" + store_name(f"linux-{number}")
        put(place, f"{store}/bzImage", kernel)
        toplevel = "/nix/store/" + store_name(f"nixos-{number}")
        document = {"org.nixos.bootspec.v1": {
            "system": "x86_64-linux", "label": str(number), "toplevel": toplevel,
            "init": f"{toplevel}/init", "kernel": f"{store}/bzImage",
            "initrd": f"{initrd}/initrd", "kernelParams": ["quiet"]}}
        (place / f"{number}.json").write_text(json.dumps(document))
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=db",
        "-keyout", place / "db.key", "-out", place / "db.pem")


def put(place, path, content):
    file = place / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def build(place, *arguments):
    numbers = range(1, GENERATIONS + 1)
    documents = [word for number in numbers
                 for word in ("--bootspec", f"{number}={number}.json")]
    run("esp-builder", "--root", ".", *documents, "--systemd-boot", LOADER, "--quiet",
        *arguments, "out", cwd=place)


SIGNED = ("--secure-boot-key", "db.key", "--secure-boot-certificate", "db.pem")


def by_sbsign(place):
    build(place)
    programs = [*(place / "out/esp/EFI/nixos").glob("*bzImage.efi"),
                *(place / "out/esp/EFI").glob("*/*64.[eE][fF][iI]")]
    if len(programs) != GENERATIONS + 2:
        raise SystemExit(f"bench: {len(programs)} programs to sign")
    run("bash", "-euo", "pipefail", "-c", SBSIGN, "bench", *programs, cwd=place)


CASES = {
    "esp-builder": lambda place: build(place, *SIGNED),
    "esp-builder --by-reference": lambda place: build(place, *SIGNED, "--by-reference"),
    "esp-builder, then sbsign": by_sbsign,
}
OURS, BY_REFERENCE, THEIRS = CASES

# At least so many times faster than signing one program after the other.
TARGETS = {OURS: 2, BY_REFERENCE: 3}


def measure(place):
    """The times of all cases, which take turns, by round."""
    rounds = []
    for number in range(-1, ROUNDS):
        times = {}
        for name, case in CASES.items():
            shutil.rmtree(place / "out", ignore_errors=True)
            os.sync()
            start = time.monotonic()
            case(place)
            times[name] = time.monotonic() - start
        if number >= 0:
            rounds.append(times)
    return rounds


def main():
    sys.stdout.reconfigure(line_buffering=True)
    place = CACHE / "signing"
    print(f"A tree of {GENERATIONS} generations, each program of it signed\n")
    say(f"signing {GENERATIONS} generations")
    try:
        write(place)
        rounds = measure(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    theirs = median(times[THEIRS] for times in rounds)
    print(f"  {THEIRS:28} {theirs * 1000:8.0f} ms")
    for name, target in TARGETS.items():
        ours = median(times[name] for times in rounds)
        ratio = median(times[THEIRS] / times[name] for times in rounds)
        verdict = "met" if ratio >= target else "missed"
        print(f"  {name:28} {ours * 1000:8.0f} ms  {factor(ratio)} faster, "
              f"at least {factor(target)}  {verdict}")


if __name__ == "__main__":
    main()
