# An appliance without a boot loader: a Unified Kernel Image knows the root hash of the store,
# and the kernel checks every block.
{
  name = "esp-builder-appliance";

  nodes.machine = {
    imports = [ ./from-image.nix ];
    boot.initrd.systemd.enable = true;
    fileSystems."/" = {
      fsType = "tmpfs";
      options = [ "mode=0755" ];
    };
    image.compose.verityStore.enable = true;
    nix.enable = false;
  };

  testScript =
    { nodes, ... }:
    ''
      ${import ./start-from-image.nix nodes.machine}

      machine.succeed("dmsetup status usr | grep 'verity V'")
      assert "usrhash=" in machine.succeed("cat /proc/cmdline")
      machine.fail("test -e /nix/var/nix/db")
    '';
}
