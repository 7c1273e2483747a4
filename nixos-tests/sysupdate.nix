# systemd-sysupdate brings an appliance to the next version: store and hashes go to the
# partitions that are not in use, a Unified Kernel Image beside the one that runs. The newer
# one starts, and is tried no more when it was good; the older one is still there.
let
  appliance =
    version:
    { lib, ... }:
    {
      imports = [
        ./from-image.nix
        ../examples/nixos/appliance.nix
      ];
      image.compose.sysupdate = {
        source = lib.mkForce "/var/updates";
        storeSize = lib.mkForce "2G";
      };
      system.image.version = lib.mkForce version;
    };
in
{
  name = "esp-builder-sysupdate";

  nodes = {
    machine =
      { nodes, ... }:
      {
        imports = [ (appliance "1") ];
        virtualisation.sharedDirectories.updates = {
          source = "${nodes.newer.system.build.image}";
          target = "/var/updates";
        };
      };
    newer = appliance "2";
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./generations.py}

      sysupdate = "/run/current-system/systemd/lib/systemd/systemd-sysupdate"


      def version() -> str:
          """The version that runs, from a store that was checked."""
          machine.succeed("dmsetup status usr | grep 'verity V'")
          return machine.succeed("sed -n 's/^IMAGE_VERSION=//p' /etc/os-release").strip('"\n')


      ${import ./start-from-image.nix nodes.machine}

      assert version() == "1"
      machine.succeed("mkdir -p /var/updates")
      machine.succeed("mount -t 9p -o trans=virtio,version=9p2000.L updates /var/updates")
      assert machine.succeed(f"{sysupdate} check-new").strip() == "2"
      machine.succeed(f"{sysupdate} update >&2")
      machine.succeed("ls /boot/EFI/Linux/app_1.efi /boot/EFI/Linux/app_2+3-0.efi")

      restart()
      assert version() == "2"
      machine.wait_for_unit("systemd-bless-boot.service")
      machine.succeed("ls /boot/EFI/Linux/app_1.efi /boot/EFI/Linux/app_2.efi")
      machine.succeed("bootctl list >&2", "lsblk --fs >&2")
    '';
}
