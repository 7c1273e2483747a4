# A machine whose ESP esp-builder keeps up to date.
{
  fileSystems = {
    "/" = {
      device = "/dev/disk/by-label/nixos";
      fsType = "ext4";
    };
    "/boot" = {
      device = "/dev/disk/by-label/ESP";
      fsType = "vfat";
      options = [ "umask=0077" ];
    };
  };

  boot.loader = {
    efi.canTouchEfiVariables = true;
    espBuilder = {
      enable = true;
      configurationLimit = 20;
      # A boot that fails three times gives way to the generation before it.
      bootCounting.enable = true;
    };
  };
}
