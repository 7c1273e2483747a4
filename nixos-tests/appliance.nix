# An appliance without a boot loader: a Unified Kernel Image knows the root hash of the store,
# and the kernel checks every block.
{
  name = "esp-builder-appliance";

  nodes.machine =
    { lib, ... }:
    {
      imports = [ ../nix/modules/image.nix ];
      boot.initrd.systemd.enable = true;
      fileSystems = {
        "/" = {
          fsType = "tmpfs";
          options = [ "mode=0755" ];
        };
        # The partition is found by its root hash, and mounted at /usr.
        "/nix/store" = {
          device = "/usr";
          fsType = "none";
          options = [ "bind" ];
        };
      };
      image.compose.verityStore.enable = true;
      nix.enable = false;

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
      machine.succeed("veritysetup status usr | grep verified")
      assert "usrhash=" in machine.succeed("cat /proc/cmdline")
      machine.fail("test -e /nix/var/nix/db")
    '';
}
