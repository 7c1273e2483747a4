# A virtual machine of qemu-vm.nix with docs/qemu-vm-system-image.patch: it starts from an image
# that `image.compose` builds.
{ config, ... }:
{
  image.compose = {
    format = "qcow2";
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

  virtualisation = {
    useBootLoader = true;
    useEFIBoot = true;
    # It comes with the image; variables of firmware are as on a new machine.
    installBootLoader = false;
    efi.keepVariables = false;
    systemImage = config.system.build.image;
  };
}
