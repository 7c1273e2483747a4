# What a partition of an image holds: the options of `image.repart.partitions`, a system as
# generation 1, and the keys of image descriptions.
{
  # `image.compose`.
  cfg,
  # The format of values that are any of JSON's.
  json,
}:
{ config, lib, ... }:

let
  inherit (lib) mkOption types;
in
{
  options = {
    storePaths = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "What the partition holds of the store, with all that it refers to.";
    };

    nixStorePrefix = mkOption {
      type = types.path;
      default = "/nix/store";
      description = "Where they are; `/` in a partition that is mounted at {file}`/nix/store`.";
    };

    registration = mkOption {
      type = types.bool;
      default = cfg.registration.enable && config.nixStorePrefix != "/";
      defaultText = lib.literalMD "where Nix is enabled, but not in a partition that is only a store";
      description = ''
        Whether {file}`/nix-path-registration` comes with the store paths, by which the
        first boot makes Nix know them.
      '';
    };

    system = mkOption {
      type = types.nullOr types.package;
      default = null;
      example = lib.literalExpression "config.system.build.toplevel";
      description = ''
        A system that becomes generation 1 of the system profile, so that
        {command}`nixos-rebuild switch` works in the image.
      '';
    };

    contents = mkOption {
      type = types.attrsOf (
        types.submodule {
          options.source = mkOption {
            type = types.path;
            description = "The file or directory.";
          };
        }
      );
      default = { };
      example = lib.literalExpression ''{ "/EFI/tool.efi".source = "''${pkgs.tool}/tool.efi"; }'';
      description = "Further files of the partition, by their places.";
    };

    repartConfig = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.str
          types.int
          types.bool
          (types.listOf types.str)
        ]
      );
      default = { };
      example = {
        Type = "home";
        SizeMinBytes = "512M";
      };
      description = "Keys of {manpage}`repart.d(5)`.";
    };

    settings = mkOption {
      inherit (json) type;
      default = { };
      example = {
        fat-type = "fat16";
      };
      description = "Keys of `[[partition]]` in an image description; they win.";
    };
  };

  config.storePaths = lib.mkIf (config.system != null) [ config.system ];
}
