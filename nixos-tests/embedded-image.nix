# An image that was built in the sandbox boots, and can be rebuilt from within.
{
  name = "esp-builder-embedded-image";

  nodes.machine = {
    imports = [
      ./from-image.nix
      ../examples/nixos/image.nix
    ];
    system.switch.enable = true;
  };

  testScript =
    { nodes, ... }:
    ''
      ${import ./start-from-image.nix nodes.machine}

      machine.succeed("bootctl status >&2", "nix-store --verify --check-contents")
      machine.succeed("$(readlink -f /run/current-system)/bin/switch-to-configuration boot")
      machine.succeed("grep -x 'default nixos-generation-1.conf' /boot/loader/loader.conf")
      with subtest("the root has grown with the disk"):
          machine.succeed("test $(df --output=size --block-size=M / | tail -n 1 | tr -d M) -gt 3000")
      machine.succeed("sfdisk --verify /dev/vda >&2")
      machine.succeed("umount /boot", "fsck.vfat -n /dev/disk/by-label/ESP >&2")
    '';
}
