# What options of the installer cannot mean together, said before anything is built. What
# depends on the partition, `esp-builder` says when it looks.
{ config, lib, ... }:

let
  cfg = config.boot.loader.espBuilder;
  inherit (config.boot.loader) efi;

  # Each of these is a partition in use.
  mountPoints = [
    efi.efiSysMountPoint
  ]
  ++ cfg.mirrors
  ++ lib.optional (cfg.xbootldrMountPoint != null) cfg.xbootldrMountPoint;

  # Other modules that install a boot loader.
  others = lib.filter (name: config.boot.loader.${name}.enable or false) (
    import ./other-boot-loaders.nix
  );

  # Which boot loaders know an option, where it is set.
  owners = [
    {
      option = "bootCounting.enable";
      isSet = cfg.bootCounting.enable;
      by = [
        "systemd-boot"
        "none"
      ];
    }
    {
      option = "entryNames = \"content\"";
      isSet = cfg.entryNames == "content" && !cfg.bootCounting.enable;
      by = [
        "systemd-boot"
        "none"
      ];
    }
    {
      option = "layout = \"uki\"";
      isSet = cfg.layout == "uki";
      by = [
        "systemd-boot"
        "uki"
        "none"
      ];
    }
    {
      option = "layout = \"type1-uki\"";
      isSet = cfg.layout == "type1-uki";
      by = [
        "systemd-boot"
        "none"
      ];
    }
    {
      option = "xbootldrMountPoint";
      isSet = cfg.xbootldrMountPoint != null;
      by = [
        "systemd-boot"
        "grub"
        "limine"
        "extlinux"
        "none"
      ];
    }
    {
      option = "consoleMode";
      isSet = cfg.consoleMode != null;
      by = [ "systemd-boot" ];
    }
    {
      option = "loaderConf";
      isSet = cfg.loaderConf != { };
      by = [ "systemd-boot" ];
    }
    {
      option = "menuPreamble";
      isSet = cfg.menuPreamble != "";
      by = [
        "grub"
        "limine"
        "refind"
        "extlinux"
      ];
    }
    {
      option = "grub.bootVolume";
      isSet = cfg.grub.bootVolume != null;
      by = [ "grub" ];
    }
    {
      option = "limine.enrollConfig";
      isSet = cfg.limine.enrollConfig;
      by = [ "limine" ];
    }
    {
      option = "extlinux.deviceTreeDir";
      isSet = cfg.extlinux.deviceTreeDir != null;
      by = [ "extlinux" ];
    }
    {
      option = "efiDrivers";
      isSet = cfg.efiDrivers != [ ];
      by = [
        "systemd-boot"
        "refind"
      ];
    }
    {
      option = "secureBoot.enrollKeys";
      isSet = cfg.secureBoot.enrollKeys != null;
      by = [ "systemd-boot" ];
    }
    {
      option = "secureBoot.shim";
      isSet = cfg.secureBoot.shim != null;
      by = [
        "systemd-boot"
        "grub"
        "limine"
        "refind"
      ];
    }
    {
      option = "extraEntries";
      isSet = cfg.extraEntries != { };
      by = startPrograms ++ [ "extlinux" ];
    }
    {
      option = "windows";
      isSet = cfg.windows != { };
      by = startPrograms;
    }
  ]
  ++
    map
      (program: {
        option = "${program}.enable";
        isSet = cfg.${program}.enable;
        by = startPrograms;
      })
      [
        "edk2-uefi-shell"
        "memtest86"
        "netbootxyz"
      ];

  # Those whose menu has programs in it, too.
  startPrograms = [
    "systemd-boot"
    "grub"
    "limine"
    "refind"
    "none"
  ];

  # A flag is NAME=VALUE, so that names hold no `=`.
  isName = name: !lib.hasInfix "=" name;
  isEntry =
    name:
    isName name && lib.hasSuffix ".conf" name && !lib.hasInfix "/" name && !lib.hasPrefix "nixos-" name;
  staysOnPartition =
    place: isName place && !lib.hasPrefix "/" place && !lib.elem ".." (lib.splitString "/" place);
  quoted = lib.strings.escapeNixIdentifier;
in
{
  config.assertions = lib.mkIf cfg.enable (
    [
      {
        assertion = lib.all (lib.hasPrefix "/") mountPoints;
        message = "The mount points of boot partitions must be absolute: ${toString mountPoints}";
      }
      {
        assertion = lib.allUnique mountPoints;
        message = "Each boot partition needs a mount point of its own: ${toString mountPoints}";
      }
      {
        assertion = others == [ ];
        message = "boot.loader.espBuilder installs the boot loader: disable ${
          lib.concatMapStringsSep " and " (name: "boot.loader.${name}") others
        }.";
      }
      {
        assertion = (config.boot.kernelPackages.kernel.features or { efiBootStub = true; }) ? efiBootStub;
        message = "This kernel has no EFI stub, so that firmware cannot start it.";
      }
      {
        assertion = cfg.installDeviceTree -> config.hardware.deviceTree.name != null;
        message = "boot.loader.espBuilder.installDeviceTree needs hardware.deviceTree.name.";
      }
      {
        assertion = cfg.ukiExtra != null -> cfg.layout != "type1" || cfg.bootloader == "uki";
        message = "boot.loader.espBuilder.ukiExtra lies beside Unified Kernel Images, and the layout `type1` has none.";
      }
    ]
    ++ map (owner: {
      assertion = owner.isSet -> lib.elem cfg.bootloader owner.by;
      message = "boot.loader.espBuilder.${owner.option} is for the boot loader ${lib.concatStringsSep " or " owner.by}, not for ${cfg.bootloader}.";
    }) owners
    ++ map (name: {
      assertion = isEntry name;
      message = "boot.loader.espBuilder.extraEntries.${quoted name}: the name of an entry ends with .conf, holds no / and no =, and does not begin with nixos-.";
    }) (lib.attrNames cfg.extraEntries)
    ++ map (place: {
      assertion = staysOnPartition place;
      message = "boot.loader.espBuilder.extraFiles.${quoted place}: places are relative to the partition, stay on it and hold no =.";
    }) (lib.attrNames cfg.extraFiles)
    ++ map (name: {
      assertion = isName name;
      message = "boot.loader.espBuilder.windows.${quoted name}: names hold no =.";
    }) (lib.attrNames cfg.windows)
  );
}
