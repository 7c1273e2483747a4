# The option of the package with both programs: that of an overlay where there is one.
{
  lib,
  pkgs,
  # How the documentation calls these packages.
  pkgsText ? "pkgs",
}:

let
  ours = pkgs.callPackage ../package.nix { };
in
lib.mkPackageOption ({ esp-builder = ours; } // pkgs) "esp-builder" { inherit pkgsText; }
