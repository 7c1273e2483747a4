# Firmware that enforces Secure Boot starts what the installer signed, after the boot loader
# enrolled the keys, and nothing else.
{
  name = "esp-builder-secure-boot";

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ ./installed.nix ];
      boot.loader.espBuilder.secureBoot = {
        enable = true;
        key = "/etc/secure-boot/db.key";
        certificate = "/etc/secure-boot/db.pem";
        enrollKeys = "/etc/secure-boot";
      };
      environment.systemPackages = [ pkgs.efibootmgr ];
      virtualisation.useSecureBoot = true;
    };

  testScript =
    { nodes, ... }:
    let
      inherit (nodes.machine.systemd) package;
    in
    ''
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

      with subtest("firmware passes over what nobody signed"):
          machine.succeed("cp ${package}/lib/systemd/boot/efi/systemd-boot*.efi /boot/unsigned.efi")
          create = "efibootmgr --create --disk /dev/vda --part 1 --label unsigned"
          options = machine.succeed(f"{create} --loader '\\unsigned.efi'")
          [first, *_] = options.split("BootOrder: ")[1].split(",")
          assert f"Boot{first}* unsigned" in options, options
          machine.succeed(f"efibootmgr --bootnext {first}")
          restart()
          assert f"BootCurrent: {first}" not in machine.succeed("efibootmgr")
    '';
}
