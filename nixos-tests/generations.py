# What the tests ask a machine about its menu.
PROFILE = "/nix/var/nix/profiles/system"


def activate(system: str) -> None:
    """Makes a system the newest generation, and the one that starts next."""
    machine.succeed(f"nix-env --profile {PROFILE} --set {system}")
    machine.succeed(f"{system}/bin/switch-to-configuration boot")


def entries() -> list[str]:
    """The names of the files of the menu, sorted."""
    return machine.succeed("ls $(bootctl --print-boot-path)/loader/entries").split()


def restart() -> None:
    """Shuts the machine down and starts it from its disk."""
    machine.succeed("sync")
    machine.shutdown()
    machine.start()
    machine.wait_for_unit("multi-user.target")


def judge() -> None:
    """Asks bootctl and fsck for a verdict."""
    machine.succeed("bootctl status >&2", "bootctl list >&2")
    machine.succeed("esp-builder verify --esp $(bootctl --print-esp-path)")
