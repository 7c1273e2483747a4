# Options of `image.repart` in a tree of nixpkgs that `image.compose` has not, and docs/nixos.md
# gives no reason for: none, and so an empty list.
{ nixpkgs }:

let
  lib = import (nixpkgs + "/lib");

  inherit
    (import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = "x86_64-linux";
      modules = [
        (nixpkgs + "/nixos/modules/image/repart.nix")
        (import ../../nix/modules).image
      ];
    })
    options
    ;

  namesOf =
    root:
    map (option: lib.removePrefix "image.${root}." option.name) (
      lib.optionAttrSetToDocList options.image.${root}
    );
in
lib.subtractLists (
  namesOf "compose"
  ++ [
    "assertions"
    "finalPartitions"
    "image"
    "imageFile"
    "imageFileBasename"
    "mkfsOptions"
    "partitions.<name>.stripNixStorePrefix"
    "warnings"
  ]
) (namesOf "repart")
