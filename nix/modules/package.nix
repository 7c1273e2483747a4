# The package of both programs: that of an overlay where there is one.
pkgs: pkgs.esp-builder or (pkgs.callPackage ../package.nix { })
