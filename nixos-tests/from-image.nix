# A machine that starts from an image that was built beforehand, with nothing of the host's.
{ lib, ... }:
{
  imports = [ ../nix/modules/image.nix ];

  virtualisation = {
    directBoot.enable = false;
    mountHostNixStore = false;
    useEFIBoot = true;
    fileSystems = lib.mkForce { };
  };
}
