# A machine as `nixos-install` leaves it: an image of its own, with generation 1, whose
# boot loader `boot.loader.espBuilder` keeps up to date. The disk is composed when the machine
# starts.
{ lib, pkgs, ... }:
{
  imports = [
    ../nix/modules/esp-builder.nix
    ../nix/modules/qemu-vm.nix
  ];

  boot.loader = {
    efi.canTouchEfiVariables = true;
    espBuilder.enable = true;
    timeout = lib.mkDefault 1;
  };
  environment.systemPackages = [
    pkgs.dosfstools
    pkgs.esp-builder or (pkgs.callPackage ../nix/package.nix { })
  ];
  # bootctl needs one that stays.
  environment.etc."machine-id".text = "1234567890abcdef1234567890abcdef\n";
  system.switch.enable = true;
  virtualisation.composeImage = {
    enable = true;
    mode = "full";
  };
}
