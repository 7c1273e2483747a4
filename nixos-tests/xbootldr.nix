# With an XBOOTLDR partition, kernels and entries lie there, and the boot loader on the ESP.
{
  name = "esp-builder-xbootldr";

  nodes.machine = {
    imports = [ ./installed.nix ];
    boot.loader = {
      efi.efiSysMountPoint = "/efi";
      espBuilder.xbootldrMountPoint = "/boot";
    };
    virtualisation.fileSystems."/boot" = {
      device = "/dev/disk/by-label/BOOT";
      fsType = "vfat";
    };
  };

  testScript = ''
    ${builtins.readFile ./generations.py}

    machine.start()
    machine.wait_for_unit("multi-user.target")
    machine.succeed("test $(bootctl --print-esp-path) = /efi", "test $(bootctl --print-boot-path) = /boot")
    machine.succeed("$(readlink -f /run/current-system)/bin/switch-to-configuration boot")
    assert entries() == ["nixos-generation-1.conf"], entries()
    machine.fail("test -e /efi/EFI/nixos")
    machine.succeed("bootctl status >&2", "sfdisk --verify /dev/vda >&2")
    machine.succeed("esp-builder verify --esp /efi --boot /boot")
    machine.succeed("umount /efi /boot")
    for label in ("ESP", "BOOT"):
        machine.succeed(f"fsck.vfat -n /dev/disk/by-label/{label} >&2")
    restart()
  '';
}
