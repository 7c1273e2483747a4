"""Runs compose and its peers side by side and prints how they compare.

Started by scripts/bench, as root and in a mount namespace of its own.
docs/benchmarks.md explains the method.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import workload
from cases import DIRECTORY, OURS, REFLINK, TARGETS, cases, memory_target

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ["ESP_COMPOSE_CACHE"]) / "bench"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PLACES = os.environ.get("BENCH_PLACES", "xfs btrfs ext4").split()

# The most that is there at once: the tree, and a peer's copy, file system and image.
DISK_BYTES = 12 << 30

MKFS = {
    "xfs": ("mkfs.xfs", "-q", "-m", "reflink=1"),
    "btrfs": ("mkfs.btrfs", "-q"),
    # Nothing is left to be initialised in the background while we measure.
    "ext4": ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
}

# Around every script, inside the chroot too, so that entering it is not measured.
STOPWATCH = """start=$EPOCHREALTIME
eval "$1" >&2
end=$EPOCHREALTIME
echo "$((${end/./} - ${start/./}))"
"""


@dataclass
class Result:
    """What was measured in one place; times in microseconds, by case and round."""
    times: dict
    memory: dict
    clusters: int = 0
    notes: list = field(default_factory=list)


def run(*command, **options):
    """Runs a command; what it prints is shown only if it fails."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes, **options) as process:
        try:
            output, errors = process.communicate()
        except BaseException:
            # What a script started would go on, and hold the file system.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise SystemExit(f"{output}{errors}bench: `{command[0]}` failed")
    return output


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


@contextmanager
def mounted(kind):
    """A fresh file system of a kind in a loop device; the directory is the place."""
    place = CACHE / kind
    place.mkdir(parents=True, exist_ok=True)
    disk = CACHE / f"{kind}.disk"
    try:
        with disk.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, DISK_BYTES)
        run(*MKFS[kind], disk)
        run("mount", "-o", "loop", disk, place)
    finally:
        # The mount keeps the blocks; nothing is left behind when it goes.
        disk.unlink(missing_ok=True)
    try:
        yield place
    finally:
        # Lazily: after an interruption, something may take a moment to die.
        run("umount", "--lazy", place)
        place.rmdir()


def shell(case, script, *arguments):
    """The command that runs a script where the tools of a case are."""
    inside = [ROOT / "scripts/in-sid"] if case.in_sid else []
    return [*inside, "bash", "-euo", "pipefail", "-c", script, "bench", *arguments]


def environment(place):
    """Temporary files go to the same file system, as what they become does."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": str(place)}


def prepare(place):
    """Removes the last output, and lets the disk come to rest."""
    shutil.rmtree(place / "out", ignore_errors=True)
    (place / "out").mkdir()
    # Twice: the first one leaves the disk of the loop device dirty.
    os.sync()
    os.sync()


def measure_time(case, place):
    prepare(place)
    command = shell(case, STOPWATCH, case.script)
    return int(run(*command, cwd=place, env=environment(place)))


def measure_memory(case, place):
    """The peak resident memory of the largest process, in bytes."""
    prepare(place)
    report = CACHE / "memory"
    command = ["/usr/bin/time", "-f", "%M", "-o", report, *shell(case, case.script)]
    run(*command, cwd=place, env=environment(place))
    kibibytes = report.read_text().split()[-1]
    report.unlink()
    return int(kibibytes) << 10


def check(place, result):
    """Looks at the image that compose just made: is it sound, and is it shared?"""
    image, esp = place / "out/image.raw", place / "out/esp.raw"
    table = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    sector, partition = table["sectorsize"], table["partitions"][0]
    with image.open("rb") as source, esp.open("wb") as target:
        source.seek(partition["start"] * sector)
        shutil.copyfileobj(source, target, 1 << 20)
        target.truncate(partition["size"] * sector)
    counts = run("fsck.vfat", "-n", esp).splitlines()[-1]
    esp.unlink()
    result.clusters = int(re.search(r"/(\d+) clusters", counts)[1])
    result.notes.append(f"fsck.vfat -n finds no fault ({counts.split(': ')[-1]})")
    total, shared = extents(image)
    result.notes.append(f"{shared / total:.2%} of the blocks of the image are shared")
    if place.name in REFLINK and shared < 0.99 * total:
        raise SystemExit("bench: the image does not share the blocks of the tree")


def extents(image):
    """How many blocks a file has, and how many it shares with other files."""
    total = shared = 0
    for line in run("filefrag", "-v", image).splitlines():
        columns = line.split(":")
        if columns[0].strip().isdigit():
            total += int(columns[3])
            shared += int(columns[3]) if "shared" in columns[-1] else 0
    return total, shared


def measure(place):
    workload.write(place)
    chosen = [case for case in cases(workload.files(place))
              if not case.places or place.name in case.places]
    result = Result({case.name: [] for case in chosen}, {})
    # A first run of each, untimed: it also warms up programs and sources.
    for case in chosen:
        result.memory[case.name] = measure_memory(case, place)
        if case.name == DIRECTORY:
            check(place, result)
    for number in range(ROUNDS):
        say(f"{place.name}: round {number + 1} of {ROUNDS}")
        for case in chosen:
            result.times[case.name].append(measure_time(case, place))
    return result


def ratio(result, over, under):
    """The median of the ratios of the rounds."""
    return median(a / b for a, b in zip(result.times[over], result.times[under]))


def factor(value):
    return f"{value:.0f}x" if value >= 20 else f"{value:.2f}x"


def mib(count):
    return f"{count / (1 << 20):.1f} MiB"


def print_cases(kind, result):
    print(f"\n{kind}\n")
    print(f"  {'':38}{'median':>10}{'of compose':>12}{'memory':>12}")
    for name, times in result.times.items():
        milliseconds = f"{median(times) / 1000:.1f} ms"
        against = factor(ratio(result, name, DIRECTORY))
        print(f"  {name:38}{milliseconds:>10}{against:>12}{mib(result.memory[name]):>12}")
    for note in result.notes:
        print(f"  {note}")


def verdicts(results):
    """Every target, what was measured, and whether that is enough."""
    for target in TARGETS:
        if target.place not in results:
            continue
        result = results[target.place]
        for ours in OURS:
            faster = ratio(result, target.peer, ours)
            if target.factor >= 1:
                wanted = f"at least {factor(target.factor)} faster than {target.peer}"
                measured = factor(faster)
            else:
                wanted = f"at most {factor(1 / target.factor)} of {target.peer}"
                measured = factor(ratio(result, ours, target.peer))
            yield target.place, ours, wanted, measured, faster >= target.factor
    for kind, result in results.items():
        limit = memory_target(result.clusters)
        for ours in OURS:
            used = result.memory[ours]
            yield kind, ours, f"at most {mib(limit)} of memory", mib(used), used <= limit


def print_verdicts(results):
    print("\nTargets\n")
    missed = 0
    for kind, ours, wanted, measured, met in verdicts(results):
        missed += not met
        print(f"  {kind:6}{ours:20}{wanted:52}{measured:>9}  {'met' if met else 'missed'}")
    print(f"\n{missed} missed" if missed else "\nall met")


def print_setting():
    sid = ROOT / "scripts/in-sid"
    versions = (
        run("compose", "--version"),
        run(sid, "systemd-repart", "--version"),
        run("mcopy", "--version"),
        f"genimage {run('genimage', '--version')}",
    )
    print(", ".join(version.splitlines()[0] for version in versions))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    print(f"{os.cpu_count()} processors, {memory:.0f} GiB of memory, "
          f"Linux {os.uname().release}; {ROUNDS} rounds, times are medians")


def main():
    sys.stdout.reconfigure(line_buffering=True)
    # An exception lets the file systems be unmounted.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    if unknown := set(PLACES) - set(MKFS):
        raise SystemExit(f"bench: no such place: {', '.join(sorted(unknown))}")
    print_setting()
    results = {}
    for kind in PLACES:
        say(f"{kind}: making the file system and the tree")
        with mounted(kind) as place:
            results[kind] = measure(place)
        print_cases(kind, results[kind])
    print_verdicts(results)


if __name__ == "__main__":
    main()
