# What it takes to work on the programs and on these files.
{
  pkgs ? import <nixpkgs> { },
}:

pkgs.mkShell {
  inputsFrom = [ (pkgs.callPackage ./package.nix { }) ];
  packages = with pkgs; [
    cargo-deny
    cargo-insta
    clippy
    deadnix
    dosfstools
    gptfdisk
    mtools
    nixfmt
    qemu
    rustfmt
    sbsigntool
    shellcheck
    statix
  ];
}
