# systemd-repart as the engine makes an image that boots too.
{
  name = "esp-builder-repart-image";

  nodes.machine = {
    imports = [
      ./from-image.nix
      ../examples/nixos/image.nix
    ];
    image.compose.engine = "repart";
  };

  testScript =
    { nodes, ... }:
    ''
      ${import ./start-from-image.nix nodes.machine}

      machine.succeed("bootctl status >&2", "nix-store --verify --check-contents")
      machine.succeed("sfdisk --verify /dev/vda >&2")
      machine.succeed("umount /boot", "fsck.vfat -n /dev/disk/by-label/ESP >&2")
    '';
}
