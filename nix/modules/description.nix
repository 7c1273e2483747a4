# What an image by `compose` holds, in options of the shape of `image.repart`, and the
# description that `compose` reads. The ESP comes from the system's own bootspec document,
# stores come with their registration.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.image.compose;
  loader = config.boot.loader.espBuilder;
  inherit (config.system.build) toplevel;
  fromRepart = import ./repart-keys.nix { inherit lib; };
  json = pkgs.formats.json { };
  toml = import ./settings-toml.nix { inherit lib; };

  # What systemd calls it, where that is another name.
  cpu = pkgs.stdenv.hostPlatform.parsed.cpu.name;
  architectures = {
    armv6l = "arm";
    armv7l = "arm";
    i686 = "x86";
    powerpc64le = "ppc64-le";
    x86_64 = "x86-64";
    aarch64 = "arm64";
  };

  # Where the state of Nix is that belongs to a store.
  stateOf = prefix: "${lib.removeSuffix "/" (dirOf prefix)}/var/nix";

  closureOf =
    partition:
    let
      closure = pkgs.closureInfo { rootPaths = partition.storePaths; };
    in
    if partition.registration then "${closure}" else "${closure}/store-paths";

  # The first generation of the system profile, as `nixos-install` leaves it.
  generation =
    prefix: system:
    let
      profiles = "${stateOf prefix}/profiles";
    in
    [
      "${profiles}/system:system-1-link"
      "${profiles}/system-1-link:${system}"
    ];

  describe =
    partition:
    let
      given = fromRepart partition.repartConfig // partition.settings;
      copied =
        given.copy-files or [ ]
        ++ lib.mapAttrsToList (place: item: "${item.source}:${place}") partition.contents;
      linked =
        given.make-symlinks or [ ]
        ++ lib.optionals (partition.system != null) (generation partition.nixStorePrefix partition.system);
    in
    given
    // lib.optionalAttrs (copied != [ ]) { copy-files = copied; }
    // lib.optionalAttrs (linked != [ ]) { make-symlinks = linked; }
    // lib.optionalAttrs (partition.storePaths != [ ]) {
      closure = closureOf partition;
      nix-store-prefix = partition.nixStorePrefix;
    };

  # Programs that may be files of the machine alone, which a build does not see.
  mayBeOfMachine =
    name:
    lib.elem name [
      "shim"
      "mok-manager"
    ];

  # Where kernels are, the next generations bring theirs. What is not used is a hole.
  roomy.SizeMinBytes = lib.mkDefault "512M";

  # Other letters than those of ASCII take several bytes each: `compose` counts them.
  isTooLong = label: builtins.match "[ -~]{37,}" label != null;

  hasXbootldr = loader.xbootldrMountPoint != null;
in
{
  imports = [
    ./esp-builder.nix
    ./registration.nix
    ./sysupdate.nix
    ./verity-store.nix
  ];

  options.image.compose = {
    name = mkOption {
      type = types.str;
      default = if config.system.image.id == null then "nixos" else config.system.image.id;
      defaultText = lib.literalExpression ''if config.system.image.id == null then "nixos" else config.system.image.id'';
      description = "The name of the image.";
    };

    version = mkOption {
      type = types.nullOr types.str;
      default = config.system.image.version;
      defaultText = lib.literalExpression "config.system.image.version";
      description = "The version of the image.";
    };

    format = mkOption {
      type = types.enum [
        "raw"
        "qcow2"
        "vhd"
        "vmdk"
      ];
      default = "raw";
      description = "The format of the image.";
    };

    compression = {
      enable = lib.mkEnableOption "compressing the image";
      algorithm = mkOption {
        type = types.enum [
          "zstd"
          "xz"
        ];
        default = "zstd";
        description = "What it is compressed with.";
      };
      level = mkOption {
        type = types.ints.unsigned;
        default = 3;
        description = "How much.";
      };
    };

    engine = mkOption {
      type = types.enum [
        "embedded"
        "repart"
      ];
      default = "embedded";
      description = "Who writes the image: {command}`compose` itself, or systemd-repart.";
    };

    seed = mkOption {
      type = types.nullOr (types.strMatching "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}");
      default = null;
      example = "0867da16-f251-457d-a9e8-c31f9a3c220b";
      description = ''
        The UUID of which those of disk, partitions and file systems are derived, as
        systemd-repart derives them; derived from name and version if `null`.
      '';
    };

    sectorSize = mkOption {
      type = types.enum [
        512
        4096
      ];
      default = 512;
      description = "The logical sectors of the disk, in bytes.";
    };

    imageSize = mkOption {
      type = types.strMatching "[0-9]+[KMGTP]?|auto";
      default = "auto";
      example = "8G";
      description = "The size of the image; `auto` is what the partitions take.";
    };

    minimumSizes = mkOption {
      type = types.enum [
        "content"
        "repart"
      ];
      default = "content";
      description = ''
        What decides the least size of a partition that names none: its content, or what
        systemd-repart reserves.
      '';
    };

    split = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether each partition is a file beside the image too, named after its `SplitName=`.
      '';
    };

    sums = mkOption {
      type = types.bool;
      default = false;
      description = "Whether {file}`SHA256SUMS` beside the image has the digests of all files.";
    };

    package = import ./package-option.nix {
      inherit lib;
      pkgs = pkgs.buildPackages;
      pkgsText = "pkgs.buildPackages";
    };

    partitions = mkOption {
      type = types.attrsOf (types.submodule (import ./image-partition.nix { inherit cfg json; }));
      default = { };
      example = lib.literalExpression ''
        {
          "20-root" = {
            system = config.system.build.toplevel;
            repartConfig = {
              Type = "root";
              Format = "ext4";
              Label = "nixos";
            };
          };
        }
      '';
      description = "The partitions; on the disk they are in the order of these names.";
    };

    esp = {
      enable = lib.mkEnableOption "an ESP that boots this system, from its bootspec document";

      partition = mkOption {
        type = types.str;
        default = "10-esp";
        description = "Which of {option}`image.compose.partitions` it is.";
      };

      measure = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Whether {file}`measurements.json` beside the image predicts what a TPM holds when
          each of its kernels was started. Signing the ESP changes it.
        '';
      };

      settings = mkOption {
        inherit (toml) type;
        description = ''
          Settings of {command}`esp-builder`: those of
          {option}`boot.loader.espBuilder.settings`, but for keys, which a build does not
          see. Sign the image's ESP afterwards, with {command}`esp-builder digests`.
        '';
      };
    };

    content = mkOption {
      type = types.attrsOf types.raw;
      readOnly = true;
      internal = true;
      description = "What the description says of the image, and of each partition.";
    };

    description = mkOption {
      type = types.path;
      readOnly = true;
      description = "The image description that {command}`compose` reads.";
    };
  };

  config = {
    assertions = [
      {
        assertion = !(cfg.esp.enable && cfg.verityStore.enable);
        message = "image.compose.esp boots from a store that can be written, image.compose.verityStore from one that is checked: enable one of them.";
      }
      {
        assertion = cfg.esp.measure -> cfg.esp.enable;
        message = "image.compose.esp.measure predicts what the kernels of image.compose.esp leave in a TPM: enable that.";
      }
    ]
    ++ lib.mapAttrsToList (name: partition: {
      assertion = !isTooLong (partition.repartConfig.Label or "");
      message = "image.compose.partitions.${lib.strings.escapeNixIdentifier name}: the label `${partition.repartConfig.Label}` has ${toString (lib.stringLength partition.repartConfig.Label)} letters, and a partition table holds 36.";
    }) cfg.partitions;

    # So that the system can be rebuilt from within.
    boot.loader.espBuilder.enable = lib.mkIf cfg.esp.enable (lib.mkDefault true);

    image.compose = {
      esp.settings = lib.mapAttrs (_: lib.mkDefault) (
        lib.filterAttrs (name: value: mayBeOfMachine name -> lib.hasPrefix builtins.storeDir value) (
          removeAttrs loader.settings [
            "enroll-keys"
            "enroll-name"
            "secure-boot-key"
            "secure-boot-certificate"
            "sign-command"
          ]
        )
      );

      partitions = lib.mkIf cfg.esp.enable {
        ${cfg.esp.partition} = {
          repartConfig = {
            Type = "esp";
            Format = "vfat";
            Label = lib.mkDefault "ESP";
          }
          // lib.optionalAttrs (!hasXbootldr) roomy;
          settings.tree = "${config.system.build.espTree}/manifest.json#esp";
        };
        "${cfg.esp.partition}-xbootldr" = lib.mkIf hasXbootldr {
          repartConfig = {
            Type = "xbootldr";
            Format = "vfat";
            Label = lib.mkDefault "BOOT";
          }
          // roomy;
          settings.tree = "${config.system.build.espTree}/manifest.json#xbootldr";
        };
      };

      content = {
        image = lib.filterAttrs (_: value: value != null) {
          inherit (cfg)
            name
            version
            seed
            engine
            format
            ;
          # Not that of the machine that builds.
          architecture = architectures.${cpu} or cpu;
          minimum-sizes = cfg.minimumSizes;
          sector-size = cfg.sectorSize;
          size = cfg.imageSize;
          compress =
            if cfg.compression.enable then
              "${cfg.compression.algorithm}:${toString cfg.compression.level}"
            else
              null;
        };
        byName = lib.mapAttrs (_: describe) cfg.partitions;
      };

      description = json.generate "image.json" {
        inherit (cfg.content) image;
        partition = lib.attrValues cfg.content.byName;
      };
    };

    system.build = {
      # By reference: the image takes kernels and initrds from where they are.
      espTree =
        pkgs.runCommand "esp-tree"
          {
            nativeBuildInputs = [ cfg.package ];
            settings = toml.file pkgs cfg.esp.settings;
          }
          ''
            esp-builder --settings "$settings" --bootspec 1=${toplevel}/boot.json \
              --by-reference ${lib.optionalString hasXbootldr "--xbootldr"} \
              ${lib.optionalString cfg.esp.measure "--measure"} "$out"
          '';

      imageSpec = cfg.description;
    };
  };
}
