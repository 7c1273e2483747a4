# An image that was built in the sandbox boots, and can be rebuilt from within.
{
  name = "esp-builder-embedded-image";

  nodes.machine =
    {
      config,
      lib,
      ...
    }:
    {
      imports = [ ../nix/modules/image.nix ];
      boot.loader.espBuilder.enable = true;
      fileSystems = {
        "/" = {
          device = "/dev/disk/by-label/nixos";
          fsType = "ext4";
          autoResize = true;
        };
        "/boot" = {
          device = "/dev/disk/by-label/ESP";
          fsType = "vfat";
        };
      };
      image.compose = {
        esp.enable = true;
        partitions."20-root" = {
          system = config.system.build.toplevel;
          repartConfig = {
            Type = "root";
            Format = "ext4";
            Label = "nixos";
          };
        };
      };
      system.switch.enable = true;

      virtualisation = {
        directBoot.enable = false;
        mountHostNixStore = false;
        useEFIBoot = true;
        fileSystems = lib.mkForce { };
      };
    };

  testScript =
    { nodes, ... }:
    ''
      import os
      import subprocess
      import tempfile

      disk = tempfile.NamedTemporaryFile(suffix=".qcow2")
      image = "${nodes.machine.system.build.image}/${nodes.machine.image.filePath}"
      qemu_img = "${nodes.machine.virtualisation.qemu.package}/bin/qemu-img"
      subprocess.run(
          [qemu_img, "create", "-f", "qcow2", "-b", image, "-F", "raw", disk.name, "4G"], check=True
      )
      os.environ["NIX_DISK_IMAGE"] = disk.name

      machine.start()
      machine.wait_for_unit("multi-user.target")
      machine.succeed("bootctl status >&2", "nix-store --verify --check-contents")
      machine.succeed("$(readlink -f /run/current-system)/bin/switch-to-configuration boot")
      machine.succeed("sfdisk --verify /dev/vda >&2")
    '';
}
