# For use without flakes:
#
#   nix-build -A esp-builder
#   imports = [ (import ./. { }).nixosModules.default ];
{
  pkgs ? import <nixpkgs> { },
}:

{
  esp-builder = pkgs.callPackage ./nix/package.nix { };
  overlays.default = import ./nix/overlay.nix;
  nixosModules = import ./nix/modules;
  tests = import ./nixos-tests { inherit pkgs; };
}
