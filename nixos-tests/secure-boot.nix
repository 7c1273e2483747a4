# Firmware that enforces Secure Boot starts what the installer signed, after the boot loader
# enrolled the keys, and nothing else.
{
  name = "esp-builder-secure-boot";

  nodes.machine = {
    imports = [ ./installed.nix ];
    boot.loader.espBuilder.secureBoot = {
      enable = true;
      key = "/etc/secure-boot/db.key";
      certificate = "/etc/secure-boot/db.pem";
      enrollKeys = "/etc/secure-boot";
    };
    virtualisation.useSecureBoot = true;
  };

  testScript = ''
    ${builtins.readFile ./generations.py}

    machine.start()
    machine.wait_for_unit("multi-user.target")
    assert "disabled" in machine.succeed("bootctl status | grep 'Secure Boot:'")
    machine.succeed("esp-builder keys generate /etc/secure-boot")
    machine.succeed("$(readlink -f /run/current-system)/bin/switch-to-configuration boot")
    judge()
    # The boot loader enrols, and starts the machine again.
    machine.succeed("sync")
    machine.shutdown()
    machine.start(allow_reboot=True)
    machine.wait_for_unit("multi-user.target")
    assert "enabled" in machine.succeed("bootctl status | grep 'Secure Boot:'")
  '';
}
