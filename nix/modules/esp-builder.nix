# The installer of the boot loader: `esp-builder install` as the hook that
# `switch-to-configuration` runs, through `boot.loader.external`. The settings are those of
# `esp-builder --settings`; options stand in front of what NixOS knows already.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.boot.loader.espBuilder;
  inherit (config.boot.loader) efi;
  inherit (pkgs.stdenv.hostPlatform) efiArch;

  efiFiles = "${config.systemd.package}/lib/systemd/boot/efi";

  toml = import ./settings-toml.nix { inherit lib; };

  # Each of these is a partition in use.
  mountPoints = [
    efi.efiSysMountPoint
  ]
  ++ cfg.mirrors
  ++ lib.optional (cfg.xbootldrMountPoint != null) cfg.xbootldrMountPoint;

  arguments = [
    "--settings=${cfg.settingsFile}"
    "--random-seed=${if cfg.randomSeed then "auto" else "no"}"
  ]
  ++ map (esp: "--esp=${esp}") ([ efi.efiSysMountPoint ] ++ cfg.mirrors)
  ++ lib.optional (cfg.xbootldrMountPoint != null) "--boot=${cfg.xbootldrMountPoint}"
  ++ lib.optional cfg.fit "--fit"
  ++ lib.optional cfg.graceful "--graceful"
  ++ lib.optional (!efi.canTouchEfiVariables) "--no-variables";

  hook = pkgs.writeShellScript "install-esp" ''
    set -euo pipefail
    ${lib.getExe cfg.package} install ${lib.escapeShellArgs arguments} -- "$1"
    ${cfg.extraInstallCommands}
  '';

  programs = {
    memtest86 = "Memtest86+, which tests memory";
    netbootxyz = "netboot.xyz, which starts systems over the network";
    edk2-uefi-shell = "the UEFI shell of EDK2";
  };
in
{
  options.boot.loader.espBuilder = {
    enable = lib.mkEnableOption "installing the boot loader with esp-builder";

    package = mkOption {
      type = types.package;
      default = import ./package.nix pkgs;
      defaultText = lib.literalExpression "pkgs.esp-builder";
      description = "The package with {command}`esp-builder`.";
    };

    bootloader = mkOption {
      type = types.enum [
        "systemd-boot"
        "grub"
        "limine"
        "refind"
        "uki"
        "none"
      ];
      default = "systemd-boot";
      description = ''
        The boot loader to install. With `uki` firmware starts an image of the default system
        alone, without a menu; `none` writes entries for a boot loader that is there.
      '';
    };

    layout = mkOption {
      type = types.enum [
        "type1"
        "uki"
        "type1-uki"
      ];
      default = "type1";
      description = ''
        How entries are stored: as files of the Boot Loader Specification, Type #1, or as a
        Unified Kernel Image for each generation, with specialisations as its profiles. With
        `type1-uki`, files of the Boot Loader Specification name these images and profiles,
        which systemd-boot 259 starts.
      '';
    };

    configurationLimit = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 20;
      description = "How many generations of each profile can be booted; all if `null`.";
    };

    fit = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether to leave out the oldest generations, with a warning, where not all have
        room. Otherwise installing fails and the partition stays as it is.
      '';
    };

    sortKey = mkOption {
      type = types.str;
      default = "nixos";
      description = ''
        What the entries of this system are sorted by in the menu. It is kept in the
        bootspec document of each generation.
      '';
    };

    installDeviceTree = mkOption {
      type = types.bool;
      default = config.hardware.deviceTree.enable && config.hardware.deviceTree.name != null;
      defaultText = lib.literalExpression "config.hardware.deviceTree.enable && config.hardware.deviceTree.name != null";
      description = "Whether entries name the device tree {option}`hardware.deviceTree.name`.";
    };

    editor = mkOption {
      type = types.bool;
      default = true;
      description = "Whether command lines can be edited in the menu, which gives root access.";
    };

    consoleMode = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "max";
      description = "The resolution of the menu: a number, `auto`, `max` or `keep`.";
    };

    bootCounting = {
      enable = lib.mkEnableOption ''
        boot counting: an entry that fails is tried no more, and the one before it starts.
        {command}`systemd-bless-boot` says which boots were good'';

      tries = mkOption {
        type = types.ints.between 1 999;
        default = 3;
        description = "How often a new entry is tried.";
      };
    };

    entryNames = mkOption {
      type = types.enum [
        "generation"
        "content"
      ];
      default = if cfg.bootCounting.enable then "content" else "generation";
      defaultText = lib.literalExpression ''if config.boot.loader.espBuilder.bootCounting.enable then "content" else "generation"'';
      description = ''
        What the names of entries are made of. With `content` a changed entry is another
        entry, which is tried anew where boots are counted.
      '';
    };

    xbootldrMountPoint = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/boot";
      description = ''
        Where the XBOOTLDR partition is mounted, if kernels and entries are to lie there.
      '';
    };

    mirrors = mkOption {
      type = types.listOf types.path;
      default = [ ];
      example = [ "/boot-fallback" ];
      description = ''
        Where further ESPs are mounted that are to be the same as
        {option}`boot.loader.efi.efiSysMountPoint`.
      '';
    };

    extraEntries = mkOption {
      type = types.attrsOf types.lines;
      default = { };
      example = lib.literalExpression ''
        {
          "tool.conf" = '''
            title A tool
            efi /EFI/tool/tool.efi
            sort-key z_tool
          ''';
        }
      '';
      description = "Further entries of the menu: file names, and their texts.";
    };

    extraFiles = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = lib.literalExpression ''{ "EFI/tool/tool.efi" = "''${pkgs.tool}/tool.efi"; }'';
      description = ''
        Further files and directories of the boot partition: their places, and what they are.
      '';
    };

    windows = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        "11" = "HD0b";
      };
      description = ''
        Windows on other ESPs: names, and their device handles as {command}`map -c` of the
        UEFI shell lists them.
      '';
    };

    secureBoot = {
      enable = lib.mkEnableOption "signing all that firmware starts, for Secure Boot";

      key = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/etc/secure-boot/db.key";
        description = ''
          The private key, as a text: a path would be copied to the store, which everybody
          can read. {command}`esp-builder keys generate` makes one.
        '';
      };

      certificate = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/etc/secure-boot/db.pem";
        description = "The certificate of the key.";
      };

      signCommand = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = ''
          A shell command that reads bytes and prints their RSA signature, in place of a
          key.
        '';
      };

      enrollKeys = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/etc/secure-boot";
        description = ''
          A directory with {file}`PK.auth`, {file}`KEK.auth` and {file}`db.auth`, which the
          boot loader enrols on a machine in setup mode.
        '';
      };
    };

    randomSeed = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the boot loader gets a random seed where it has none.";
    };

    graceful = mkOption {
      type = types.bool;
      default = false;
      description = "Whether boot options of firmware that cannot be written are a warning only.";
    };

    extraInstallCommands = mkOption {
      type = types.lines;
      default = "";
      description = "Shell commands that run when everything is installed.";
    };

    settings = mkOption {
      inherit (toml) type;
      default = { };
      example = {
        set = [ "auto-firmware=no" ];
      };
      description = ''
        Settings of {command}`esp-builder`, as in the file of its `--settings`. Trees of
        images have them too.
      '';
    };

    settingsFile = mkOption {
      type = types.path;
      readOnly = true;
      default = toml.file pkgs cfg.settings;
      defaultText = lib.literalMD "made of {option}`boot.loader.espBuilder.settings`";
      description = "The file of the settings.";
    };
  }
  // lib.mapAttrs (_: what: { enable = lib.mkEnableOption "an entry for ${what}"; }) programs;

  config = lib.mkMerge [
    {
      boot.loader.espBuilder.settings = lib.mkMerge [
        {
          inherit (cfg) bootloader layout;
          timeout = lib.mkDefault (
            if config.boot.loader.timeout == null then "menu-force" else config.boot.loader.timeout
          );
          distro-name = lib.mkDefault config.system.nixos.distroName;
          store-dir = lib.mkDefault builtins.storeDir;
          entry-names = cfg.entryNames;
          no-editor = !cfg.editor;
          extra-file = lib.mapAttrsToList (place: file: "${place}=${file}") cfg.extraFiles;
          extra-entry = lib.mapAttrsToList (
            name: text: "${name}=${pkgs.writeText name text}"
          ) cfg.extraEntries;
          windows = lib.mapAttrsToList (name: handle: "${name}=${handle}") cfg.windows;
        }
        (lib.getAttr cfg.bootloader {
          systemd-boot.systemd-boot = lib.mkDefault [ "${efiFiles}/systemd-boot${efiArch}.efi" ];
          grub.grub-mkimage = lib.mkDefault "${pkgs.grub2_efi}/bin/grub-mkimage";
          limine.loader = lib.mkDefault [
            "${pkgs.limine}/share/limine/BOOT${lib.toUpper efiArch}.EFI"
          ];
          refind.loader = lib.mkDefault [ "${pkgs.refind}/share/refind/refind_${efiArch}.efi" ];
          uki = { };
          none = { };
        })
        (lib.mkIf (cfg.layout != "type1" || cfg.bootloader == "uki") {
          stub = lib.mkDefault [ "${efiFiles}/linux${efiArch}.efi.stub" ];
        })
        (lib.mkIf (cfg.configurationLimit != null) { limit = cfg.configurationLimit; })
        (lib.mkIf (cfg.consoleMode != null) { console-mode = cfg.consoleMode; })
        (lib.mkIf cfg.bootCounting.enable { inherit (cfg.bootCounting) tries; })
        (lib.mkIf cfg.memtest86.enable { memtest86 = "${pkgs.memtest86plus.efi}"; })
        (lib.mkIf cfg.netbootxyz.enable { netbootxyz = "${pkgs.netbootxyz-efi}"; })
        (lib.mkIf (cfg.edk2-uefi-shell.enable || cfg.windows != { }) {
          edk2-shell = "${pkgs.edk2-uefi-shell}/shell.efi";
        })
        (lib.mkIf (cfg.secureBoot.enrollKeys != null) { enroll-keys = cfg.secureBoot.enrollKeys; })
        (lib.mkIf cfg.secureBoot.enable (
          lib.filterAttrs (_: value: value != null) {
            secure-boot-key = cfg.secureBoot.key;
            secure-boot-certificate = lib.optional (
              cfg.secureBoot.certificate != null
            ) cfg.secureBoot.certificate;
            sign-command = cfg.secureBoot.signCommand;
          }
        ))
      ];
    }

    (lib.mkIf cfg.enable {
      assertions = [
        {
          assertion = lib.all (lib.hasPrefix "/") mountPoints;
          message = "The mount points of boot partitions must be absolute: ${toString mountPoints}";
        }
        {
          assertion = lib.allUnique mountPoints;
          message = "Each boot partition needs a mount point of its own: ${toString mountPoints}";
        }
        {
          assertion = !config.boot.loader.systemd-boot.enable && !config.boot.loader.grub.enable;
          message = "boot.loader.espBuilder installs the boot loader: disable boot.loader.systemd-boot and boot.loader.grub.";
        }
        {
          assertion = (config.boot.kernelPackages.kernel.features or { efiBootStub = true; }) ? efiBootStub;
          message = "This kernel has no EFI stub, so that firmware cannot start it.";
        }
        {
          assertion =
            (cfg.bootCounting.enable || cfg.layout != "type1")
            -> lib.elem cfg.bootloader [
              "systemd-boot"
              "none"
            ];
          message = "boot.loader.espBuilder.bootCounting and layouts other than `type1` need entries that are files of their own, which ${cfg.bootloader} does not read.";
        }
        {
          assertion = cfg.xbootldrMountPoint != null -> cfg.bootloader != "refind" && cfg.bootloader != "uki";
          message = "boot.loader.espBuilder.xbootldrMountPoint: ${cfg.bootloader} finds what it starts on the ESP alone.";
        }
        {
          assertion = cfg.installDeviceTree -> config.hardware.deviceTree.name != null;
          message = "boot.loader.espBuilder.installDeviceTree needs hardware.deviceTree.name.";
        }
        {
          assertion =
            cfg.secureBoot.enable
            ->
              cfg.secureBoot.certificate != null
              && (cfg.secureBoot.key == null) != (cfg.secureBoot.signCommand == null);
          message = "boot.loader.espBuilder.secureBoot needs a certificate, and either a key or a signCommand.";
        }
        {
          assertion = cfg.secureBoot.key == null || !lib.hasPrefix builtins.storeDir cfg.secureBoot.key;
          message = "boot.loader.espBuilder.secureBoot.key is in the store, where everybody can read it: give its path as a text.";
        }
      ]
      ++ map (name: {
        assertion = lib.hasSuffix ".conf" name && !lib.hasInfix "/" name && !lib.hasPrefix "nixos-" name;
        message = "boot.loader.espBuilder.extraEntries.${lib.strings.escapeNixIdentifier name}: the name of an entry ends with .conf, holds no / and does not begin with nixos-.";
      }) (lib.attrNames cfg.extraEntries)
      ++ map (place: {
        assertion = !lib.hasPrefix "/" place && !lib.elem ".." (lib.splitString "/" place);
        message = "boot.loader.espBuilder.extraFiles.${lib.strings.escapeNixIdentifier place}: places are relative to the partition and stay on it.";
      }) (lib.attrNames cfg.extraFiles);

      boot = {
        loader = {
          external = {
            enable = true;
            installHook = hook;
          };
          supportsInitrdSecrets = true;
        };
        bootspec.extensions."org.nixos.systemd-boot" = {
          inherit (cfg) sortKey;
          devicetree = lib.mkIf cfg.installDeviceTree "${config.hardware.deviceTree.package}/${config.hardware.deviceTree.name}";
        };
      };

      system = {
        boot.loader.id = cfg.bootloader;
        requiredKernelConfig = [ (config.lib.kernelConfig.isYes "EFI_STUB") ];
      };
    })
  ];
}
