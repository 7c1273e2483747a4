# A disk image with an ESP and a root, for `system.build.image`.
{ config, ... }:
{
  boot = {
    # As large as the disk that it is written to.
    growPartition = true;
    loader.espBuilder.enable = true;
  };

  image.compose = {
    name = "server";
    esp.enable = true;
    partitions."20-root" = {
      # Generation 1 of the image, with all that it needs.
      system = config.system.build.toplevel;
      repartConfig = {
        Type = "root";
        Format = "ext4";
        Label = "nixos";
        GrowFileSystem = true;
      };
    };
  };

  fileSystems = {
    "/" = {
      device = "/dev/disk/by-label/nixos";
      fsType = "ext4";
      autoResize = true;
    };
    "/boot" = {
      device = "/dev/disk/by-label/ESP";
      fsType = "vfat";
      options = [ "umask=0077" ];
    };
  };
}
