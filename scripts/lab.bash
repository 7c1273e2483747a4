# shellcheck shell=bash disable=SC2034 # the sourcing scripts use them
# What the scripts share: where things are, how to speak, how to become root.
# Sourced, never run.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

# Kernels, chroots and tools live outside the tree, so that a fresh clone (or
# `git clean`) does not fetch them again. The tests read the same variable.
cache=${ESP_COMPOSE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/esp-compose}

# mkfs, depmod and friends are not on a plain user's path on Debian, and rustup
# only edits the profile of login shells.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
export PATH

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "\`$1\` needs root: run as root or install sudo"
  fi
}
