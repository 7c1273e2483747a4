# What is built of the modules where a whole nixpkgs is at hand, with stand-ins for all that
# comes from sources.
{
  nixpkgs,
  # The same with the change that docs/nixos.md proposes.
  proposal ? null,
  # esp-builder and compose.
  programs,
  # What boots: a kernel, an initrd that reports, and a boot loader.
  kernel,
  initrd,
  systemdBoot,
  # A root of Debian with systemd and Nix, by its path as a text.
  debian,
}:

let
  pkgs = import ./stand-ins.nix { inherit nixpkgs programs; };
  inherit (pkgs) lib;
  modules = import ../../nix/modules;

  systemOf =
    tree: parts:
    import (tree + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = [
        (import ./guest.nix { inherit kernel initrd; })
        { nixpkgs.pkgs = pkgs; }
      ]
      ++ parts;
    };

  system = systemOf nixpkgs;

  # The boot loader of this machine may be another one than that of the builds.
  ownBootLoader.boot.loader.espBuilder.settings.systemd-boot = [ "${systemdBoot}" ];

  installer = system [
    modules.default
    ../../examples/nixos/installer.nix
    ownBootLoader
    {
      # What a shell or TOML would take for something else.
      boot.loader.espBuilder.extraFiles."EFI/the tools/it's $HOME, 100%.txt" =
        pkgs.writeText "odd.txt" "odd";
    }
  ];

  # A machine that has another boot loader, and an image variant all the same.
  stock = system [
    modules.default
    ownBootLoader
    {
      boot.loader.systemd-boot.enable = true;
      fileSystems."/" = {
        device = "/dev/sda2";
        fsType = "xfs";
      };
      virtualisation.vmVariant = {
        imports = [ modules.qemu-vm ];
        virtualisation.composeImage.enable = true;
      };
    }
  ];

  newer = installer.extendModules {
    modules = [ { system.nixos.label = "newer"; } ];
  };

  image = system [
    modules.image
    ../../examples/nixos/image.nix
    ownBootLoader
    { image.compose.esp.measure = true; }
  ];

  # An appliance that can be updated, in two versions.
  appliance =
    version:
    system [
      modules.image
      ../../examples/nixos/appliance.nix
      {
        boot = {
          kernelParams = [ "guest.sh=vda1/open.sh" ];
          loader.timeout = 0;
        };
        image.compose = {
          sysupdate = {
            source = lib.mkForce "/var/updates";
            storeSize = lib.mkForce "128M";
            hashSize = "2M";
          };
          partitions."00-esp" = {
            contents."/open.sh".source = ./open.sh;
            repartConfig.SizeMinBytes = "128M";
          };
        };
        system = {
          image.version = lib.mkForce version;
          nixos.label = version;
        };
      }
    ];

  # Debian's firmware, and a boot loader that does not wait.
  ownFirmware = {
    boot.loader.timeout = 0;
    virtualisation = {
      graphics = false;
      efi = {
        firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd";
        variables = "/usr/share/OVMF/OVMF_VARS_4M.fd";
        OVMF = pkgs.emptyDirectory // {
          systemManagementModeRequired = false;
        };
      };
    };
  };

  machineOf =
    tree: parts:
    systemOf tree (
      [
        (tree + "/nixos/modules/virtualisation/qemu-vm.nix")
        ownBootLoader
        ownFirmware
      ]
      ++ parts
    );

  machine =
    mode:
    machineOf nixpkgs [
      modules.qemu-vm
      ../../examples/nixos/vm.nix
      { virtualisation.composeImage.mode = lib.mkForce mode; }
    ];

  # An image of ours, where qemu-vm.nix itself would have made one.
  proposed = machineOf proposal [
    modules.image
    ../../examples/nixos/system-image.nix
  ];

  # What the guest is rebuilt to.
  rebuilt = system [
    modules.esp-builder
    ownBootLoader
    {
      boot.loader = {
        espBuilder.enable = true;
        timeout = 0;
      };
      fileSystems."/" = {
        device = "/dev/vda2";
        fsType = "ext4";
      };
      system.nixos.label = "rebuilt";
    }
  ];

  # Debian's programs with the store, the profile and the unit of the modules: `init` is a
  # copy of systemd, as in NixOS.
  guest = system [
    modules.image
    ownBootLoader
    (
      { config, ... }:
      let
        inherit (config.systemd.units."register-composed-store.service") unit;
        inherit (config.system.build) toplevel;
        units = "/etc/systemd/system";
        report = pkgs.writeText "report.service" (
          import ./report.nix {
            inherit toplevel;
            next = rebuilt.config.system.build;
          }
        );
      in
      {
        boot = {
          kernelParams = [
            "guest.root=vda2"
            "systemd.unit=report.service"
          ];
          loader = {
            espBuilder.enable = true;
            timeout = 0;
          };
        };
        fileSystems."/" = {
          device = "/dev/vda2";
          fsType = "ext4";
        };
        image.compose = {
          esp.enable = true;
          partitions."20-root" = {
            system = toplevel;
            storePaths = [
              unit
              rebuilt.config.system.build.toplevel
              rebuilt.config.system.build.installBootLoader
            ];
            contents = {
              "${units}/register-composed-store.service".source = "${unit}/register-composed-store.service";
              "${units}/report.service".source = report;
            };
            repartConfig = {
              Type = "root";
              Format = "ext4";
              Label = "nixos";
              SizeMinBytes = "1G";
              CopyFiles = [
                "${debian}/usr:/usr"
                "${debian}/etc:/etc"
              ];
              ExcludeFiles = map (folder: "${debian}/usr/share/${folder}/") [
                "doc"
                "locale"
                "man"
              ];
              MakeDirectories = "/boot /dev /proc /root /run /sys /tmp /var";
              MakeSymlinks = [
                "/bin:usr/bin"
                "/lib:usr/lib"
                "/lib64:usr/lib64"
                "/sbin:usr/sbin"
                "${units}/sysinit.target.wants/register-composed-store.service:../register-composed-store.service"
              ];
            };
          };
        };
      }
    )
  ];
in
pkgs.linkFarm "systems" (
  {
    hook = installer.config.system.build.installBootLoader;
    first = installer.config.system.build.toplevel;
    second = newer.config.system.build.toplevel;

    inherit (image.config.system.build) image;
    again = image.config.system.build.image.overrideAttrs { again = true; };
    variant = stock.config.system.build.images.compose;
    machine = stock.config.system.build.vm;
    older = (appliance "1").config.system.build.image;
    newer = (appliance "2").config.system.build.image;
    transfers = (appliance "1").config.system.build.sysupdateTransfers;
    guest = guest.config.system.build.imageSpec;

    esp = (machine "esp").config.system.build.vm;
    full = (machine "full").config.system.build.vm;
  }
  // lib.optionalAttrs (proposal != null) {
    proposed = proposed.config.system.build.vm;
  }
)
