# Signatures of what the installer writes, and keys that boot loaders enrol. A private key is
# named and never read here: what a build reads, everybody can.
{
  config,
  lib,
  ...
}:

let
  inherit (lib) mkOption types;

  loader = config.boot.loader.espBuilder;
  cfg = loader.secureBoot;

  # Paths as texts, which nothing copies to the store.
  path =
    description: example:
    mkOption {
      type = types.nullOr types.str;
      default = null;
      inherit description example;
    };

  given = lib.filterAttrs (_: value: value != null);
  fileOf = lib.mapNullable (file: "${file}");
in
{
  options.boot.loader.espBuilder.secureBoot = {
    enable = lib.mkEnableOption "signing all that firmware starts, for Secure Boot";

    key = path ''
      The private key, as a text: a path would be copied to the store, which everybody
      can read. {command}`esp-builder keys generate` makes one.
    '' "/etc/secure-boot/db.key";

    certificate = path "The certificate of the key." "/etc/secure-boot/db.pem";

    signCommand = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "pkcs11-tool --sign --mechanism SHA256-RSA-PKCS --id 01";
      description = ''
        A shell command that reads bytes and prints their RSA signature, in place of a
        key.
      '';
    };

    enrollKeys = path ''
      A directory with {file}`PK.auth`, {file}`KEK.auth` and {file}`db.auth`, which
      systemd-boot enrols on a machine in setup mode.
    '' "/etc/secure-boot";

    enrollName = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "manual";
      description = ''
        What systemd-boot calls these keys in its menu; it enrols those of `auto`, which is
        their name if `null`, by itself.
      '';
    };

    shim = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/secure-boot/shimx64.efi";
      description = ''
        Shim, as a distribution has signed it: firmware starts it with the keys that the
        machine was sold with, and it starts the boot loader.
      '';
    };

    mokManager = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/secure-boot/mmx64.efi";
      description = "Shim's manager of keys, by which the owner of the machine enrols theirs.";
    };
  };

  config = {
    boot.loader.espBuilder.settings =
      given {
        enroll-keys = cfg.enrollKeys;
        enroll-name = cfg.enrollName;
        shim = fileOf cfg.shim;
        mok-manager = fileOf cfg.mokManager;
      }
      // lib.optionalAttrs cfg.enable (given {
        secure-boot-key = cfg.key;
        secure-boot-certificate = lib.mapNullable lib.singleton cfg.certificate;
        sign-command = cfg.signCommand;
      });

    assertions = lib.mkIf loader.enable [
      {
        assertion = cfg.enable -> cfg.certificate != null && (cfg.key == null) != (cfg.signCommand == null);
        message = "boot.loader.espBuilder.secureBoot needs a certificate, and either a key or a signCommand.";
      }
      {
        assertion = cfg.key == null || !lib.hasPrefix builtins.storeDir cfg.key;
        message = "boot.loader.espBuilder.secureBoot.key is in the store, where everybody can read it: give its path as a text.";
      }
      {
        assertion = cfg.enrollName != null -> cfg.enrollKeys != null;
        message = "boot.loader.espBuilder.secureBoot.enrollName names the keys of enrollKeys: say where they are.";
      }
      {
        assertion = cfg.mokManager != null -> cfg.shim != null;
        message = "boot.loader.espBuilder.secureBoot.mokManager is started by shim: say where that is.";
      }
    ];
  };
}
