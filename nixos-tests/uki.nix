# With the layout `uki`, what starts is a Unified Kernel Image, and the installer keeps it up
# to date.
{
  name = "esp-builder-uki";

  nodes = {
    machine =
      { nodes, ... }:
      {
        imports = [ ./uki-machine.nix ];
        virtualisation.additionalPaths = [ nodes.newer.system.build.toplevel ];
      };
    newer = {
      imports = [ ./uki-machine.nix ];
      system.nixos.label = "newer";
    };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./generations.py}

      machine.start()
      machine.wait_for_unit("multi-user.target")
      assert "systemd-stub" in machine.succeed("bootctl status")
      activate("${nodes.newer.system.build.toplevel}")
      machine.succeed("ls /boot/EFI/Linux/nixos-generation-2.efi")
      judge()
      restart()
      machine.succeed("test $(readlink -f /run/booted-system) = ${nodes.newer.system.build.toplevel}")
    '';
}
