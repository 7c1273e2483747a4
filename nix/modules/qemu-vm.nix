# Composes the disk of a virtual machine when it starts, for `qemu-vm.nix`: nothing of it is
# in the store. In mode `esp` the disk holds an ESP alone, and the machine mounts the host's
# store as always; in mode `full` the disk holds all of the system. The runner is that of
# NixOS, behind a script of ours: import this where `virtualisation.qemu` is, in tests and in
# `virtualisation.vmVariant`.
{
  config,
  lib,
  options,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.virtualisation.composeImage;
  inherit (config.virtualisation) host;
  inherit (config.boot.loader.efi) efiSysMountPoint;
  inherit (config.system) name;
  hostPkgs = host.pkgs;
  isFull = cfg.mode == "full";

  # What goes by this name has been made of all that is in the description.
  inherit (config.image.compose) description;
  key = lib.substring 0 32 (baseNameOf (builtins.unsafeDiscardStringContext "${description}"));

  # As `regInfo` of qemu-vm.nix: the runner knows the closure of the system, the system does
  # not know its own.
  closure = hostPkgs.closureInfo { rootPaths = config.virtualisation.additionalPaths; };
  credential = "composed.registration";
  tellsNix = import ./tells-nix.nix;

  script = vm: ''
    #!${hostPkgs.runtimeShell}
    set -euo pipefail
    export PATH=${
      lib.makeBinPath [
        hostPkgs.coreutils
        hostPkgs.findutils
        cfg.package
        config.virtualisation.qemu.package
      ]
    }''${PATH:+:}''${PATH:-}

    state=$(realpath -m "''${NIX_COMPOSE_STATE:-./${name}-compose}")
    if ! mkdir -p "$state" || ! test -w "$state"; then
      echo "$state cannot be written: name another folder in NIX_COMPOSE_STATE." >&2
      exit 1
    fi
    base=$state/${key}.raw
    overlay=$state/${key}.qcow2
    # A base appears when it is complete; what is based on another one is of no use without it.
    if ! test -e "$base"; then
      ${
        if isFull then
          ''
            if test -n "$(find "$state" -name '*.qcow2' -print -quit)"; then
              echo "The system has changed: it starts with a new disk. Old ones are in $state." >&2
            fi
          ''
        else
          ''
            find "$state" -maxdepth 1 -type f \( -name '*.raw' -o -name '*.qcow2*' \) -delete
          ''
      }
      compose ${description} --quiet -o "$base"
    fi
    ${
      if isFull then
        ''
          # As always, a disk that is named is used as it is.
          overlay=$(realpath -m "''${NIX_DISK_IMAGE:-$overlay}")
          export NIX_DISK_IMAGE=$overlay
        ''
      else
        ''
          export NIX_ESP_IMAGE=$overlay
        ''
    }
    if ! test -e "$overlay"; then
      # Of two machines that start at once, one has the disk; QEMU tells the other.
      new=$(mktemp "$overlay.XXXXXX")
      qemu-img create -q -f qcow2 -b "$base" -F raw "$new"
      mv -n "$new" "$overlay" || true
      rm -f "$new"
    fi
    exec ${vm}/bin/run-${name}-vm "$@"
  '';

  wrap =
    vm:
    hostPkgs.runCommand vm.name
      {
        preferLocalBuild = true;
        runner = script vm;
        passAsFile = [ "runner" ];
        passthru.composesImage = true;
        meta.mainProgram = "run-${name}-vm";
      }
      ''
        mkdir -p "$out/bin"
        ln -s ${config.system.build.toplevel} "$out/system"
        install -m 555 "$runnerPath" "$out/bin/run-${name}-vm"
      '';
in
{
  imports = [ ./description.nix ];

  options = {
    virtualisation.composeImage = {
      enable = lib.mkEnableOption "composing the disk when the virtual machine starts";

      mode = mkOption {
        type = types.enum [
          "esp"
          "full"
        ];
        default = "esp";
        description = ''
          What is on the disk: an ESP, while the store is that of the host and the root is
          the disk that it always was; or ESP, root and store.
        '';
      };

      package = import ./package-option.nix {
        inherit lib;
        pkgs = hostPkgs;
        pkgsText = "config.virtualisation.host.pkgs";
      };
    };

    # The runner, wrapped; but not again where it is that of a variant.
    system.build.vm = mkOption {
      type = types.package;
      apply = vm: if cfg.enable && !vm.composesImage or false then wrap vm else vm;
      description = "The runner of the virtual machine.";
    };
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = !config.virtualisation.useBootLoader;
            message = "virtualisation.composeImage takes the place of virtualisation.useBootLoader, which would build an image in the store: disable it.";
          }
          {
            assertion = !config.virtualisation.efi.keepVariables;
            message = "virtualisation.efi.keepVariables would build an image in the store, for its variables: disable it. Those of the machine are kept beside its disk.";
          }
          {
            assertion = isFull -> config.virtualisation.diskImage != null;
            message = "virtualisation.composeImage.mode = \"full\" needs virtualisation.diskImage.";
          }
        ];

        # qemu-vm.nix knows of no boot loader here, and rules them out.
        boot.loader =
          import ./rule-out-boot-loaders.nix {
            inherit lib options;
            override = lib.mkVMOverride;
          }
          // {
            supportsInitrdSecrets = lib.mkOverride 9 config.boot.loader.espBuilder.enable;
          };
        boot.kernelParams = map (console: "console=${console}") config.virtualisation.qemu.consoles;

        image.compose.esp.enable = true;

        virtualisation = {
          directBoot.enable = false;
          useEFIBoot = true;
          fileSystems.${efiSysMountPoint} = {
            device = "/dev/disk/by-label/ESP";
            fsType = "vfat";
            options = [ "umask=0077" ];
          };
        };
      }

      (lib.mkIf isFull {
        image.compose.partitions."20-root" = {
          system = config.system.build.toplevel;
          storePaths = config.virtualisation.additionalPaths;
          repartConfig = {
            Type = "root";
            Format = "ext4";
            Label = "nixos";
            SizeMinBytes = "${toString config.virtualisation.diskSize}M";
          };
        };
        virtualisation = {
          # What is not used is a hole.
          diskSize = lib.mkDefault 4096;
          mountHostNixStore = false;
        };
      })

      (lib.mkIf (!isFull) {
        virtualisation = {
          qemu.drives = lib.mkAfter [
            {
              name = "esp";
              file = ''"$NIX_ESP_IMAGE"'';
              driveExtraOpts = {
                cache = "writeback";
                format = "qcow2";
                werror = "report";
              };
              deviceExtraOpts = {
                bootindex = "0";
                serial = "esp";
              };
            }
          ];
        }
        # Older trees have no credentials: there, Nix in the machine knows no paths.
        // lib.optionalAttrs (options.virtualisation ? credentials) {
          credentials.${credential}.text = "${closure}/registration";
        };

        systemd.services.register-host-store = lib.mkIf config.nix.enable (tellsNix {
          description = "Register the Store of the Host";
          condition.ConditionCredential = credential;
          serviceConfig.ImportCredential = credential;
          script = ''
            ${lib.getExe' config.nix.package.out "nix-store"} --load-db \
              < "$(cat "$CREDENTIALS_DIRECTORY/${credential}")"
          '';
        });
      })
    ]
  );
}
