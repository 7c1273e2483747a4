# The image variant `compose` of `system.build.images`, for
# `nixos-rebuild build-image --image-variant compose`: an ESP and a root that grows with its
# disk, with the labels and names that the images of NixOS have.
{
  image.modules.compose =
    {
      config,
      lib,
      options,
      ...
    }:
    {
      imports = [ ./image.nix ];

      image.compose = {
        format = lib.mkDefault "qcow2";
        esp.enable = lib.mkDefault true;
        partitions."20-root" = lib.mkDefault {
          system = config.system.build.toplevel;
          repartConfig = {
            Type = "root";
            Format = "ext4";
            Label = "nixos";
            GrowFileSystem = true;
          };
        };
      };

      boot = {
        growPartition = lib.mkDefault true;
        loader = import ./rule-out-boot-loaders.nix {
          inherit lib options;
          override = lib.mkImageMediaOverride;
        };
      };

      # Those of a machine are not those of its image.
      fileSystems = {
        "/" = lib.mkImageMediaOverride {
          device = "/dev/disk/by-label/nixos";
          fsType = "ext4";
          autoResize = true;
        };
        ${config.boot.loader.efi.efiSysMountPoint} = lib.mkImageMediaOverride {
          device = "/dev/disk/by-label/ESP";
          fsType = "vfat";
          options = [ "umask=0077" ];
        };
      };
    };
}
