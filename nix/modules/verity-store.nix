# A store that the kernel checks, block by block: an EROFS partition with hashes, whose root
# hash is on the command line of a Unified Kernel Image. What is hashed is composed first, by
# itself; the image then has the same bytes, because all follows from the seed.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.image.compose;
  store = cfg.verityStore;
  inherit (config.system.build) toplevel;
  inherit (pkgs.stdenv.hostPlatform) efiArch;
  json = pkgs.formats.json { };
  storePartition = cfg.partitions.${store.partitionIds.store};

  # `compose` says the root hash in its report.
  hashed =
    pkgs.runCommand "store-hashes"
      {
        nativeBuildInputs = [ cfg.package ];
        __structuredAttrs = true;
        unsafeDiscardReferences.out = true;
      }
      ''
        compose ${
          json.generate "store.json" {
            image = removeAttrs cfg.content.image [ "compress" ] // {
              format = "raw";
              size = "auto";
            };
            partition = map (name: cfg.content.byName.${name}) [
              store.partitionIds.store-verity
              store.partitionIds.store
            ];
          }
        } --progress never --json -o image.raw > "$out"
      '';

  uki =
    pkgs.runCommand config.system.boot.loader.ukiFile
      {
        nativeBuildInputs = [
          cfg.package
          pkgs.buildPackages.jq
        ];
      }
      ''
        hash=$(jq --exit-status --raw-output \
          'first(.layout.partitions[] | select(.type | startswith("usr-")) | .roothash)' ${hashed})
        esp-builder uki --output "$out" \
          --kernel ${toplevel}/kernel --initrd ${toplevel}/initrd \
          --cmdline "init=${toplevel}/init $(cat ${toplevel}/kernel-params) usrhash=$hash" \
          --os-release ${config.environment.etc.os-release.source} \
          --stub ${config.systemd.package}/lib/systemd/boot/efi/linux${efiArch}.efi.stub
      '';

  partition =
    name: default:
    mkOption {
      type = types.str;
      inherit default;
      description = "Which of {option}`image.compose.partitions` is that of the ${name}.";
    };
in
{
  options.image.compose.veritySignatures = mkOption {
    type = types.attrsOf types.path;
    default = { };
    example = lib.literalExpression "{ \"e3b0c442…\" = ./store.p7s; }";
    description = ''
      Signatures of root hashes, for partitions with `Verity=signature`. A build sees no
      keys: the first one says which root hash is to be signed.
    '';
  };

  options.image.compose.verityStore = {
    enable = lib.mkEnableOption "a store that dm-verity protects";

    ukiPath = mkOption {
      type = types.str;
      default = "/EFI/BOOT/BOOT${lib.toUpper efiArch}.EFI";
      defaultText = lib.literalMD "what firmware starts by itself";
      description = "Where the Unified Kernel Image lies on the ESP.";
    };

    partitionIds = {
      esp = partition "ESP" "00-esp";
      store-verity = partition "hashes" "10-store-verity";
      store = partition "store" "20-store";
    };
  };

  config = lib.mkIf store.enable {
    boot = {
      initrd = {
        systemd.dmVerity.enable = true;
        supportedFilesystems.${storePartition.repartConfig.Format} = lib.mkDefault true;
      };
      # Firmware starts the image by itself.
      loader.grub.enable = lib.mkDefault false;
    };

    # The partition of the store is mounted at /usr, and nothing is written there.
    fileSystems."/nix/store" = lib.mkDefault {
      device = "/usr/nix/store";
      fsType = "none";
      options = [ "bind" ];
    };
    environment.usrbinenv = lib.mkDefault null;

    image.compose.partitions = {
      ${store.partitionIds.esp} = {
        contents.${store.ukiPath}.source = uki;
        repartConfig = {
          Type = "esp";
          Format = "vfat";
          Label = lib.mkDefault "ESP";
        };
      };
      ${store.partitionIds.store-verity}.repartConfig = {
        Type = "usr-verity";
        Label = lib.mkDefault "store-verity";
        Verity = "hash";
        VerityMatchKey = "store";
      };
      ${store.partitionIds.store} = {
        storePaths = [ toplevel ];
        # Nothing could take it away there.
        registration = lib.mkDefault false;
        repartConfig = {
          Type = "usr";
          Format = "erofs";
          Label = lib.mkDefault "store";
          Verity = "data";
          VerityMatchKey = "store";
        };
      };
    };

    system.build.verityUki = uki;
  };
}
