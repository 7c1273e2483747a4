# A second ESP is the same as the first, and starts the machine without it.
{
  name = "esp-builder-mirrors";

  nodes.machine = {
    imports = [ ./installed.nix ];
    boot.loader.espBuilder.mirrors = [ "/boot-fallback" ];
    image.compose.partitions."15-mirror".repartConfig = {
      Type = "esp";
      Format = "vfat";
      Label = "MIRROR";
      SizeMinBytes = "512M";
    };
    virtualisation.fileSystems."/boot-fallback" = {
      device = "/dev/disk/by-label/MIRROR";
      fsType = "vfat";
    };
  };

  testScript = ''
    ${builtins.readFile ./generations.py}

    machine.start()
    machine.wait_for_unit("multi-user.target")
    machine.succeed("$(readlink -f /run/current-system)/bin/switch-to-configuration boot")
    # The random seed is each one's own.
    machine.succeed("diff -r -x random-seed /boot /boot-fallback")
    judge()
    machine.succeed("rm -r /boot/EFI /boot/loader", "umount /boot")
    restart()
  '';
}
