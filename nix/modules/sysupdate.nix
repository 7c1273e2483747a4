# Updates of an appliance by systemd-sysupdate: two partitions for the store and two for its
# hashes, of which one pair runs while the other is written, and a Unified Kernel Image for each
# version. The image of a version is for new machines; the files beside it are for those that
# run an older one.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;

  image = config.image.compose;
  cfg = image.sysupdate;
  inherit (image.verityStore) partitionIds;
  inherit (pkgs.stdenv.hostPlatform) efiArch;
  json = pkgs.formats.json { };

  size = types.strMatching "[0-9]+[KMGTP]?";

  # What the files of a version begin with.
  stem = "${image.name}_${toString image.version}";

  slot = size: {
    SizeMinBytes = lib.mkDefault size;
    SizeMaxBytes = lib.mkDefault size;
  };

  # One that runs.
  filled = size: {
    repartConfig = slot size // {
      Label = stem;
      # With the root hash, which is in the UUIDs.
      SplitName = "%t.%U";
    };
  };

  # The next version goes here.
  free = partition: size: {
    repartConfig = slot size // {
      inherit (image.partitions.${partition}.repartConfig) Type;
      Format = "empty";
      SplitName = "-";
    };
  };

  # The system holds its transfers, so that they cannot come from an image that holds the
  # system: they are those of an image with the same partitions and nothing in them.
  skeleton = json.generate "skeleton.json" {
    image = removeAttrs image.content.image [
      "format"
      "size"
    ];
    partition =
      map
        (
          partition:
          lib.getAttrs (lib.filter (key: image.content.byName.${partition} ? ${key}) [
            "flags"
            "grow-file-system"
            "label"
            "no-auto"
            "read-only"
            "split-name"
            "type"
            "verity"
            "verity-match-key"
          ]) image.content.byName.${partition}
          // lib.optionalAttrs (partition == partitionIds.store) { copy-blocks = "store"; }
        )
        [
          partitionIds.store-verity
          partitionIds.store
        ];
  };

  imageTransfer = pkgs.writeText "uki.transfer" (
    lib.generators.toINI { listsAsDuplicateKeys = true; } {
      Transfer.ProtectVersion = "%A";
      Source = {
        Type = if lib.hasInfix "://" cfg.source then "url-file" else "regular-file";
        Path = escape cfg.source;
        MatchPattern = "${escape image.name}_@v.efi";
      };
      Target = {
        Type = "regular-file";
        Path = "/EFI/Linux";
        PathRelativeTo = "boot";
        MatchPattern = map (counter: "${escape image.name}_@v${counter}.efi") [
          "+@l-@d"
          "+@l"
          ""
        ];
        Mode = "0444";
        TriesLeft = cfg.tries;
        TriesDone = 0;
        InstancesMax = 2;
      };
    }
  );

  # To systemd, `%` begins a specifier.
  escape = lib.replaceStrings [ "%" ] [ "%%" ];

  transfers = pkgs.runCommand "sysupdate.d" { nativeBuildInputs = [ image.package ]; } ''
    cp ${skeleton} image.json
    truncate --size 1M store
    compose image.json --quiet -o ${lib.escapeShellArg "${stem}.raw"} \
      --sysupdate "$out" --sysupdate-source ${lib.escapeShellArg cfg.source}
    # An image is there when all that it starts is.
    cp ${imageTransfer} "$out/900-uki.transfer"
  '';
in
{
  options.image.compose.sysupdate = {
    enable = lib.mkEnableOption ''
      updates by systemd-sysupdate of a store that dm-verity protects. The transfers are in
      {file}`/etc/sysupdate.d`; {option}`systemd.sysupdate.enable` updates by itself'';

    source = mkOption {
      type = types.str;
      example = "https://example.com/server";
      description = ''
        Where machines find the files that are beside the image: a URL, or a directory.
      '';
    };

    storeSize = mkOption {
      type = size;
      default = "2G";
      description = "The size of each of two partitions for a store, which must never grow beyond.";
    };

    hashSize = mkOption {
      type = size;
      default = "32M";
      description = "The size of each of two partitions for hashes: at least a 120th of the store.";
    };

    tries = mkOption {
      type = types.ints.between 1 999;
      default = 3;
      description = "How often a new version is tried before the one before it starts again.";
    };

    publish = mkOption {
      type = types.lines;
      internal = true;
      default = "";
      description = "Shell commands that put further files beside the image.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = image.verityStore.enable;
        message = "image.compose.sysupdate updates a store that dm-verity protects: enable image.compose.verityStore.";
      }
      {
        assertion = image.version != null && config.system.image.version == image.version;
        message = "image.compose.sysupdate needs system.image.version, by which a machine knows what it runs, and the same image.compose.version.";
      }
    ];

    image.compose = {
      split = true;
      sums = true;

      sysupdate.publish = ''
        install -m 444 ${config.system.build.verityUki} "$out"/${lib.escapeShellArg "${stem}.efi"}
        (cd "$out" && sha256sum ${lib.escapeShellArg "${stem}.efi"} >> SHA256SUMS)
      '';

      verityStore.ukiPath = lib.mkDefault "/EFI/Linux/${stem}.efi";

      partitions = {
        ${partitionIds.esp} = {
          contents = {
            "/EFI/BOOT/BOOT${lib.toUpper efiArch}.EFI".source =
              lib.mkDefault "${config.systemd.package}/lib/systemd/boot/efi/systemd-boot${efiArch}.efi";
            "/loader/loader.conf".source = lib.mkDefault (
              pkgs.writeText "loader.conf" "timeout ${toString config.boot.loader.timeout}\n"
            );
          };
          repartConfig = {
            SizeMinBytes = lib.mkDefault "512M";
            SplitName = "-";
          };
        };
        ${partitionIds.store-verity} = filled cfg.hashSize;
        ${partitionIds.store} = filled cfg.storeSize;
        "30-next-store-verity" = free partitionIds.store-verity cfg.hashSize;
        "40-next-store" = free partitionIds.store cfg.storeSize;
      };
    };

    # Where the images are.
    fileSystems.${config.boot.loader.efi.efiSysMountPoint} = lib.mkDefault {
      device = "/dev/disk/by-partlabel/${image.partitions.${partitionIds.esp}.repartConfig.Label}";
      fsType = "vfat";
      options = [ "umask=0077" ];
    };

    environment.etc."sysupdate.d".source = "${transfers}/*";
    system.build.sysupdateTransfers = transfers;
  };
}
