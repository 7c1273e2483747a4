"""Measures how cost grows with the size of what is asked for, up to what nobody has.

Started by scripts/bench. docs/limits.md has the table and explains it. Time is that of
the processor, in our program and for it in the kernel: other load on the machine matters
less to it. Memory is the most that the process held at once.
"""

import os
import shutil
import sys

from compare import CACHE, run, say
from live_workload import PROFILES, Machine

GENERATIONS = (100, 1_000, 10_000)
FILES = (1_000, 10_000, 100_000)
FILES_PER_FOLDER = 200
GIBIBYTES = (20, 200, 2_048)
PARTITIONS = (2, 16, 128)
# Of a path: as FAT knows it, and below the longest that Linux opens at once.
PATH_BYTES = (40, 400, 4_000)

SEED = "0867da16-5cd9-4c7a-9d2c-7a6b5ea8220b"


def measured(*command, cwd):
    """The seconds of processor time and the MiB of memory that a command took."""
    # By a small process: memory of the one that starts a program counts as the program's.
    output = cwd / "time"
    run("/usr/bin/time", "--format", "%U %S %M", "--output", output, *command, cwd=cwd)
    user, system, kibibytes = map(float, output.read_text().split())
    return user + system, kibibytes / 1024


def generations(place, count):
    """Trees and installations of so many generations."""
    machine = Machine(place / "machine")
    machine.add_generations(count)
    root = ["--root", machine.root]
    loader = f"{machine.root}{machine.systemd}/lib/systemd/boot/efi/systemd-bootx64.efi"
    tree = ["esp-builder", *root, "--profile", f"/{PROFILES}/system", "--quiet",
            "--systemd-boot", loader]
    install = ["esp-builder", "install", *root, "--esp", machine.esp, "--no-mount-check"]
    yield "a tree by reference", measured(*tree, "--by-reference", "tree", cwd=place)
    yield "installing them", measured(*install, cwd=place)
    yield "installing again", measured(*install, cwd=place)


def files(place, count):
    """Images of so many files."""
    tree = place / "tree"
    for number in range(count):
        folder = tree / f"folder {number // FILES_PER_FOLDER}"
        if number % FILES_PER_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"a file with a long name {number}").write_bytes(b"x" * (number % 5000))
    describe(place, [{"type": "esp", "format": "vfat", "tree": "tree"}])
    yield "an image", measured(*compose("image.raw"), cwd=place)
    yield "verify", measured("compose", "verify", "image.raw", cwd=place)


def size(place, gibibytes):
    """Images of so many GiB, nearly all of it holes."""
    blocks = place / "blocks"
    with blocks.open("wb") as file:
        file.write(b"first")
        file.truncate((gibibytes << 30) - (1 << 29))
        file.seek(-5, os.SEEK_END)
        file.write(b"last.")
    describe(place, [{"type": "linux-generic", "copy-blocks": "blocks"}])
    yield "an image", measured(*compose("image.raw"), cwd=place)
    yield "a qcow2", measured(*compose("image.qcow2", "--format", "qcow2"), cwd=place)
    yield "inspect", measured("compose", "inspect", "image.raw", cwd=place)


def partitions(place, count):
    """Images of so many partitions."""
    (place / "tree").mkdir()
    (place / "tree" / "file").write_text("content")
    describe(place, [{"type": "linux-generic", "format": "vfat", "tree": "tree",
                      "size-min-bytes": "4M", "size-max-bytes": "4M"}] * count)
    yield "an image", measured(*compose("image.raw"), cwd=place)


def paths(place, length):
    """An image of one file whose path is so long."""
    folder = place / "tree"
    folder.mkdir()
    at = os.open(folder, os.O_PATH)
    name = "d" * 9
    for _ in range(length // (len(name) + 1) - 1):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_PATH, dir_fd=at)
        os.close(at)
        at = below
    with os.fdopen(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at), "w") as file:
        file.write("content")
    os.close(at)
    describe(place, [{"type": "esp", "format": "vfat", "tree": "tree"}])
    yield "an image", measured(*compose("image.raw"), cwd=place)


def describe(place, descriptions):
    """Writes `image.toml`."""
    text = f'[image]\nseed = "{SEED}"\n'
    for keys in descriptions:
        lines = (f'{key} = "{value}"' for key, value in keys.items())
        text += "\n".join(["[[partition]]", *lines, ""])
    (place / "image.toml").write_text(text)


def compose(output, *arguments):
    return ["compose", "--quiet", "image.toml", "--output", output, *arguments]


def report(unit, sizes, case):
    """Prints a row for each thing that a case measures, a column for each size."""
    columns = []
    for amount in sizes:
        say(f"{amount:,} {unit}")
        place = CACHE / "limits"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            columns.append(dict(case(place, amount)))
        finally:
            shutil.rmtree(place, ignore_errors=True)
    heads = "".join(f" {f'{amount:,}':>18} |" for amount in sizes)
    print(f"| {unit:20} |{heads}\n| --- |{' ---: |' * len(sizes)}")
    for row in columns[0]:
        cells = (f"{seconds:.2f} s, {memory:.1f} MiB" for seconds, memory in
                 (column[row] for column in columns))
        print(f"| {row:20} |" + "".join(f" {cell:>18} |" for cell in cells))
    print()


def main():
    sys.stdout.reconfigure(line_buffering=True)
    report("generations", GENERATIONS, generations)
    report("files", FILES, files)
    report("GiB of holes", GIBIBYTES, size)
    report("partitions", PARTITIONS, partitions)
    report("bytes of a path", PATH_BYTES, paths)


if __name__ == "__main__":
    main()
