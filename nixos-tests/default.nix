# The tests of NixOS by what they promise. Each boots virtual machines, so that a builder with
# KVM is wanted:
#
#   nix-build -A tests.type1
{
  pkgs ? import <nixpkgs> { },
}:

let
  inherit (pkgs) lib;
  promises = [
    "appliance"
    "boot-counting"
    "embedded-image"
    "generation-limit"
    "grub"
    "initrd-secrets"
    "limine"
    "measured-boot"
    "mirrors"
    "qemu-vm-esp"
    "qemu-vm-full"
    "refind"
    "registration"
    "repart-image"
    "reproducible"
    "secure-boot"
    "specialisation"
    "sysupdate"
    "type1"
    "uki"
    "uki-alone"
    "xbootldr"
  ];
in
lib.genAttrs promises (name: pkgs.testers.runNixOSTest (./. + "/${name}.nix"))
