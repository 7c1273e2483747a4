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

  loaderConfValue = value: if lib.isBool value then lib.boolToYesNo value else toString value;

  programs = {
    memtest86 = "Memtest86+, which tests memory";
    netbootxyz = "netboot.xyz, which starts systems over the network";
    edk2-uefi-shell = "the UEFI shell of EDK2";
  };
in
{
  imports = [
    ./installer-assertions.nix
    ./secure-boot.nix
  ];

  options.boot.loader.espBuilder = {
    enable = lib.mkEnableOption "installing the boot loader with esp-builder";

    package = import ./package-option.nix { inherit lib pkgs; };

    bootloader = mkOption {
      type = types.enum [
        "systemd-boot"
        "grub"
        "limine"
        "refind"
        "extlinux"
        "uki"
        "none"
      ];
      default = "systemd-boot";
      description = ''
        The boot loader to install. `extlinux` writes the menu that U-Boot reads, and no
        binary. With `uki` firmware starts an image of the default system alone, without a
        menu; `none` writes entries for a boot loader that is there.
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
      description = "The resolution of systemd-boot's menu: a number, `auto`, `max` or `keep`.";
    };

    loaderConf = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.bool
          types.int
          types.str
        ]
      );
      default = { };
      example = {
        auto-firmware = false;
        beep = true;
      };
      description = "Other keys of {manpage}`loader.conf(5)`, for systemd-boot.";
    };

    menuPreamble = mkOption {
      type = types.lines;
      default = "";
      example = "term_palette: 1e1e2e;f38ba8;a6e3a1;f9e2af;89b4fa;f5c2e7;94e2d5;cdd6f4";
      description = ''
        Text before the entries of a menu in one file, in the language of its boot loader:
        themes, fonts, passwords. The files that it names are
        {option}`boot.loader.espBuilder.extraFiles`.
      '';
    };

    grub.bootVolume = mkOption {
      type = types.nullOr (types.strMatching "[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}");
      default = null;
      example = "ABCD-1234";
      description = ''
        The volume ID of the partition with the kernels, where GRUB may find the default
        kernel on several disks.
      '';
    };

    limine.enrollConfig = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether Limine's binary accepts the menu that was installed with it, and no other.
      '';
    };

    extlinux.deviceTreeDir = mkOption {
      type = types.nullOr types.path;
      default =
        if
          cfg.bootloader == "extlinux"
          && config.hardware.deviceTree.enable
          && config.hardware.deviceTree.name == null
        then
          config.hardware.deviceTree.package
        else
          null;
      defaultText = lib.literalMD ''
        {option}`hardware.deviceTree.package` with the boot loader `extlinux`, unless
        {option}`hardware.deviceTree.name` says which is the board's
      '';
      description = "A directory of device trees, in which U-Boot finds that of its board.";
    };

    efiDrivers = mkOption {
      type = types.listOf types.path;
      default = [ ];
      example = lib.literalExpression ''[ "''${pkgs.refind}/share/refind/drivers_x64/ext4_x64.efi" ]'';
      description = "Drivers that systemd-boot or rEFInd loads.";
    };

    ukiExtra = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = ''
        A directory of addons, credentials and extensions that lie beside each Unified Kernel
        Image. Everybody can read what is in the store: credentials there must be encrypted.
      '';
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
        machine-id = "8a2b7d4e0c3f4f1d9b6a5c8e7f102938";
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
          efi-driver = map (driver: "${driver}") cfg.efiDrivers;
        }
        (lib.getAttr cfg.bootloader {
          systemd-boot.systemd-boot = lib.mkDefault [ "${efiFiles}/systemd-boot${efiArch}.efi" ];
          grub.grub-mkimage = lib.mkDefault "${pkgs.grub2_efi}/bin/grub-mkimage";
          limine.loader = lib.mkDefault [
            "${pkgs.limine}/share/limine/BOOT${lib.toUpper efiArch}.EFI"
          ];
          refind.loader = lib.mkDefault [ "${pkgs.refind}/share/refind/refind_${efiArch}.efi" ];
          extlinux = { };
          uki = { };
          none = { };
        })
        (lib.mkIf (cfg.layout != "type1" || cfg.bootloader == "uki") {
          stub = lib.mkDefault [ "${efiFiles}/linux${efiArch}.efi.stub" ];
        })
        (lib.mkIf (cfg.configurationLimit != null) { limit = cfg.configurationLimit; })
        (lib.mkIf (cfg.consoleMode != null) { console-mode = cfg.consoleMode; })
        (lib.mkIf (cfg.loaderConf != { }) {
          set = lib.mapAttrsToList (key: value: "${key}=${loaderConfValue value}") cfg.loaderConf;
        })
        (lib.mkIf (cfg.menuPreamble != "") {
          menu-preamble = "${pkgs.writeText "menu-preamble" cfg.menuPreamble}";
        })
        (lib.mkIf (cfg.grub.bootVolume != null) { boot-volume = cfg.grub.bootVolume; })
        (lib.mkIf cfg.limine.enrollConfig { limine-config = "enrolled"; })
        (lib.mkIf (cfg.extlinux.deviceTreeDir != null) {
          device-tree-dir = "${cfg.extlinux.deviceTreeDir}";
        })
        (lib.mkIf (cfg.ukiExtra != null) { uki-extra = "${cfg.ukiExtra}"; })
        (lib.mkIf cfg.bootCounting.enable { inherit (cfg.bootCounting) tries; })
        (lib.mkIf cfg.memtest86.enable { memtest86 = "${pkgs.memtest86plus.efi}"; })
        (lib.mkIf cfg.netbootxyz.enable { netbootxyz = "${pkgs.netbootxyz-efi}"; })
        (lib.mkIf (cfg.edk2-uefi-shell.enable || cfg.windows != { }) {
          edk2-shell = "${pkgs.edk2-uefi-shell}/shell.efi";
        })
      ];
    }

    (lib.mkIf cfg.enable {
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
