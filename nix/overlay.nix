# Adds `esp-builder`, the package of both programs.
final: _prev: {
  esp-builder = final.callPackage ./package.nix { };
}
