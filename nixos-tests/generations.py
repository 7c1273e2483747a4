# What the tests ask a machine about its menu.
PROFILE = "/nix/var/nix/profiles/system"


def activate(system: str) -> None:
    """Makes a system the newest generation, and the one that starts next."""
    machine.succeed(f"nix-env --profile {PROFILE} --set {system}")
    machine.succeed(f"{system}/bin/switch-to-configuration boot")


def entries() -> list[str]:
    """The names of the files of the menu, sorted."""
    return sorted(machine.succeed("ls $(bootctl --print-boot-path)/loader/entries").split())


def restart() -> None:
    """Shuts the machine down and starts it from its disk."""
    machine.succeed("sync")
    machine.shutdown()
    machine.start()
    machine.wait_for_unit("multi-user.target")


def judge() -> None:
    """Asks bootctl, sfdisk and fsck for a verdict on the disk of a machine."""
    machine.succeed("bootctl status >&2", "bootctl list >&2", "sfdisk --verify /dev/vda >&2")
    esp = machine.succeed("bootctl --print-esp-path").strip()
    machine.succeed(f"esp-builder verify --esp {esp}")
    # One that is mounted has a mark that it was not unmounted.
    machine.succeed(f"umount {esp}", "fsck.vfat -n /dev/disk/by-label/ESP >&2", f"mount {esp}")
