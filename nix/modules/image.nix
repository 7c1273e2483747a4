# Builds the image of a system as `system.build.image`, in the sandbox: without root, virtual
# machine or loop device.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:

let
  cfg = config.image.compose;

  suffixes = {
    zstd = ".zst";
    xz = ".xz";
  };
  suffix = lib.optionalString cfg.compression.enable suffixes.${cfg.compression.algorithm};

  measurements = lib.optionalString (cfg.esp.enable && cfg.esp.measure) ''
    cp ${config.system.build.espTree}/measurements.json "$out"
  '';

  arguments =
    lib.optional cfg.split "--split"
    ++ lib.optional cfg.sums "--sums"
    ++ lib.mapAttrsToList (
      roothash: signature: "--verity-signature=${roothash}:${signature}"
    ) cfg.veritySignatures;
in
{
  imports = [
    ./description.nix
    (modulesPath + "/image/file-options.nix")
  ];

  config = {
    image.baseName = cfg.name + lib.optionalString (cfg.version != null) "_${cfg.version}";
    image.extension = cfg.format + suffix;

    system.build.image =
      pkgs.runCommand (lib.strings.sanitizeDerivationName config.image.baseName)
        {
          nativeBuildInputs = [
            cfg.package
          ]
          ++ lib.optionals (cfg.engine == "repart") [
            pkgs.buildPackages.dosfstools
            pkgs.buildPackages.e2fsprogs
            pkgs.buildPackages.fakeroot
            pkgs.buildPackages.mtools
            pkgs.buildPackages.systemd
            pkgs.buildPackages.util-linux
          ];
          # An image that names store paths holds them, or does not need them.
          __structuredAttrs = true;
          unsafeDiscardReferences.out = true;
          passthru = {
            inherit (config.image) filePath;
            inherit (config.system.build) espTree imageSpec;
          };
        }
        ''
          mkdir "$out"
          compose ${cfg.description} --progress never --json ${lib.escapeShellArgs arguments} \
            -o "$out"/${lib.escapeShellArg config.image.filePath} > "$out/layout.json"
          ${cfg.sysupdate.publish}
          ${measurements}
        '';
  };
}
