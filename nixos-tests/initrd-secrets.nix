# What a machine keeps out of the store reaches the initrd, and only root can read it.
{
  name = "esp-builder-initrd-secrets";

  nodes.machine = {
    imports = [ ./installed.nix ];
    boot.initrd = {
      secrets."/secret" = "/etc/secret-of-the-machine";
      systemd.enable = true;
      systemd.services.keep-secret = {
        requiredBy = [ "initrd.target" ];
        after = [ "initrd-nixos-copy-secrets.service" ];
        before = [ "initrd-switch-root.target" ];
        unitConfig.DefaultDependencies = false;
        unitConfig.ConditionPathExists = "/secret";
        serviceConfig.Type = "oneshot";
        script = "cp /secret /run/secret";
      };
    };
  };

  testScript = ''
    ${builtins.readFile ./generations.py}

    machine.start()
    machine.wait_for_unit("multi-user.target")
    machine.fail("test -e /run/secret")
    machine.succeed("(umask 077; echo hidden > /etc/secret-of-the-machine)")
    machine.succeed("$(readlink -f /run/current-system)/bin/switch-to-configuration boot")
    restart()
    assert machine.succeed("cat /run/secret") == "hidden\n"
    assert machine.succeed("stat --format %a /run/secret").strip() == "600"
    machine.fail("runuser -u nobody -- ls /boot")
  '';
}
