# Specialisations have entries of their own, and can be the default.
{
  name = "esp-builder-specialisation";

  nodes.machine = {
    imports = [ ./installed.nix ];
    specialisation.other.configuration.environment.etc.other.text = "other";
  };

  testScript = ''
    ${builtins.readFile ./generations.py}

    machine.start()
    machine.wait_for_unit("multi-user.target")
    other = "nixos-generation-1-specialisation-other.conf"
    assert entries() == [other, "nixos-generation-1.conf"], entries()
    machine.fail("test -e /etc/other")

    machine.succeed("$(readlink -f /run/current-system)/specialisation/other/bin/switch-to-configuration boot")
    assert f"default {other}" in machine.succeed("cat /boot/loader/loader.conf")
    restart()
    machine.succeed("test -e /etc/other")
    judge()
  '';
}
