{
  description = "Lays out EFI System Partitions and composes disk images";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "riscv64-linux"
      ];
      eachSystem = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = eachSystem (
        pkgs:
        let
          esp-builder = pkgs.callPackage ./nix/package.nix { };
        in
        {
          inherit esp-builder;
          default = esp-builder;
        }
      );

      apps = eachSystem (
        pkgs:
        let
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
          app = program: {
            type = "app";
            program = lib.getExe' package program;
            inherit (package) meta;
          };
        in
        {
          default = app "esp-builder";
          esp-builder = app "esp-builder";
          compose = app "compose";
        }
      );

      overlays.default = import ./nix/overlay.nix;

      nixosModules = import ./nix/modules;

      checks = eachSystem (
        pkgs:
        {
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        }
        # The firmware that these tests boot with is there for these two.
        // lib.optionalAttrs (pkgs.stdenv.hostPlatform.isx86_64 || pkgs.stdenv.hostPlatform.isAarch64) (
          import ./nixos-tests { inherit pkgs; }
        )
      );

      devShells = eachSystem (pkgs: {
        default = import ./nix/shell.nix { inherit pkgs; };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
