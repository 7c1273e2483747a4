# The first boot makes Nix know the store that came with the image; the second finds nothing to
# do, and `nixos-rebuild` has a profile to go on from.
{
  name = "esp-builder-registration";

  nodes.machine = ./installed.nix;

  testScript = ''
    ${builtins.readFile ./generations.py}

    machine.start()
    machine.wait_for_unit("register-composed-store.service")
    machine.wait_for_unit("multi-user.target")
    machine.fail("test -e /nix-path-registration")
    machine.succeed("nix-store --verify --check-contents")
    machine.succeed("test $(readlink -f /nix/var/nix/profiles/system) = $(readlink -f /run/booted-system)")
    machine.succeed("nix-env --profile /nix/var/nix/profiles/system --list-generations | grep '^ *1 '")
    machine.succeed("nix-store --query --requisites /run/current-system | grep nixos-system")
    restart()
    assert "ConditionPathExists" in machine.succeed("systemctl status register-composed-store.service || true")
  '';
}
