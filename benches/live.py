"""Measures installing to an ESP that is up to date already.

Started by scripts/bench. docs/benchmarks.md explains the method.
"""

import os
import shutil
import sys
from pathlib import Path
from statistics import median

from compare import CACHE, ROUNDS, factor, run, say
from live_workload import Machine

SIZES = (100, 1000)

# At most so many times as long as looking at the same files takes.
LIMIT = 3

# What every change writes: the default, and what is ours.
WRITTEN_BY_ALL = ("loader/loader.conf", "loader/esp-builder.json")

# Processes of a few milliseconds need more rounds than images do.
ROUNDS_PER_SIZE = 10 * ROUNDS

# One round is both commands, one after the other, each with a warm cache. Prints
# microseconds. The files are arguments of one process: neither a directory is
# read nor a second process started to look at them.
DUEL = """mapfile -d '' files <"$1"
shift
for ((round = -1; round < ROUNDS; round++)); do
  start=$EPOCHREALTIME
  "$@" >/dev/null
  middle=$EPOCHREALTIME
  stat --printf= -- "${files[@]}"
  end=$EPOCHREALTIME
  if ((round >= 0)); then
    echo "$((${middle/./} - ${start/./})) $((${end/./} - ${middle/./}))"
  fi
done
"""


def install(machine):
    return ["esp-builder", "install", "--root", machine.root, "--esp", machine.esp,
            "--no-mount-check"]


def duel(machine, place):
    """The times of installing and of looking, by round."""
    (place / "files").write_bytes(b"".join(f"{path}\0".encode() for path in machine.files()))
    output = run("bash", "-euo", "pipefail", "-c", DUEL, "bench", place / "files",
                 *install(machine),
                 env={**os.environ, "LC_ALL": "C", "ROUNDS": str(ROUNDS_PER_SIZE)})
    return [tuple(map(int, line.split())) for line in output.splitlines()]


def changed(before, after):
    """What is new, gone or written to."""
    paths = before.keys() | after.keys()
    return sorted(str(path) for path in paths if before.get(path) != after.get(path))


def measure(size, place):
    machine = Machine(place)
    machine.add_generations(size)
    run(*install(machine))
    before = machine.snapshot()
    times = duel(machine, place)
    written = changed(before, machine.snapshot())
    if written:
        raise SystemExit(f"bench: a run without changes wrote {', '.join(written)}")
    return times, written_by_one_more(machine)


def written_by_one_more(machine):
    """Which files another generation writes that shares its kernel and its initrd."""
    before = machine.snapshot()
    machine.add_generations(1)
    run(*install(machine))
    written = changed(before, machine.snapshot())
    return [path for path in written if not (machine.esp / path).is_dir()]


def verdict(is_met):
    return "met" if is_met else "missed"


def report(size, times, written):
    ratio = median(ours / looking for ours, looking in times)
    ours, looking = (median(column) / 1000 for column in zip(*times))
    measured = f"{factor(ratio)} ({ours:.1f} of {looking:.1f} ms)"
    print(f"  {size:5} generations  at most {factor(LIMIT)} of stat{'':18}"
          f"{measured:>25}  {verdict(ratio <= LIMIT)}")
    own = [path for path in written if path not in WRITTEN_BY_ALL]
    measured = f"{len(own)} and {len(written) - len(own)} files"
    print(f"  {size:5} generations  one more writes its entry and the menu's 2"
          f"{measured:>25}  {verdict(len(own) == 1)}")


def main():
    sys.stdout.reconfigure(line_buffering=True)
    place = CACHE / "live"
    print("Installing to an ESP that is up to date, which writes nothing\n")
    for size in SIZES:
        say(f"{size} generations")
        shutil.rmtree(place, ignore_errors=True)
        try:
            times, written = measure(size, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        report(size, times, written)


if __name__ == "__main__":
    main()
