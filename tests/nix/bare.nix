# A set of options that stands for NixOS where only its library is at hand: those that our
# modules read or set, with NixOS's types. Nothing of it can be built; all of it is evaluated.
{ lib }:

let
  inherit (lib) mkOption types;

  # In place of nixpkgs: a path for each package and each text, with the text beside it.
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
    outputName = "out";
    meta.mainProgram = name;
  };
  written = name: text: package name // { inherit text; };

  pkgs =
    lib.genAttrs [ "limine" "memtest86plus" "netbootxyz-efi" "edk2-uefi-shell" "refind" ] package
    // {
      esp-builder = package "esp-builder";
      grub2_efi = package "grub";
      memtest86plus = package "memtest86plus" // {
        efi = package "memtest86plus-efi";
      };
      stdenv.hostPlatform = {
        efiArch = "x64";
        parsed.cpu.name = "x86_64";
      };
      buildPackages = pkgs;
      closureInfo = { rootPaths }: package "closure-info" // { inherit rootPaths; };
      formats.json = _: {
        type = types.attrsOf types.anything;
        generate = name: value: written name (builtins.toJSON value);
      };
      runCommand = name: _: written name;
      writeText = written;
      writeShellScript = written;
    };

  option =
    type: default:
    mkOption {
      inherit type default;
    };

  yes = option types.bool true;
  no = option types.bool false;

  stand-ins = {
    options = {
      assertions = option (types.listOf types.unspecified) [ ];

      boot = {
        bootspec.extensions = option (types.attrsOf types.anything) { };
        growPartition = no;
        initrd = {
          supportedFilesystems = option (types.attrsOf types.bool) { };
          systemd.dmVerity.enable = no;
        };
        kernelPackages = option types.raw { kernel.features.efiBootStub = true; };
        kernelParams = option (types.listOf types.str) [ ];
        loader = {
          efi = {
            canTouchEfiVariables = no;
            efiSysMountPoint = option types.str "/boot";
          };
          external = {
            enable = no;
            installHook = option types.path null;
          };
          grub.enable = no;
          systemd-boot.enable = no;
          supportsInitrdSecrets = no;
          timeout = option (types.nullOr types.int) 5;
        };
      };

      environment = {
        etc = option (types.attrsOf types.anything) { };
        usrbinenv = option (types.nullOr types.path) "/nix/store/0000-coreutils/bin/env";
      };
      fileSystems = option (types.attrsOf types.anything) { };

      hardware.deviceTree = {
        enable = no;
        name = option (types.nullOr types.str) null;
        package = option types.package (package "device-trees");
      };

      lib = option (types.attrsOf types.anything) {
        kernelConfig.isYes = name: { inherit name; };
      };

      nix = {
        enable = yes;
        package = option types.raw { out = package "nix"; };
        daemonUser = option types.str "root";
        daemonGroup = option types.str "root";
      };

      system = {
        boot.loader = {
          id = option types.str "";
          ukiFile = option types.str "nixos.efi";
        };
        build = mkOption {
          type = types.submodule {
            freeformType = types.lazyAttrsOf (types.uniq types.unspecified);
          };
        };
        image = {
          id = option (types.nullOr types.str) null;
          version = option (types.nullOr types.str) null;
        };
        nixos.distroName = option types.str "NixOS";
        requiredKernelConfig = option (types.listOf types.anything) [ ];
      };

      systemd = {
        package = option types.package (package "systemd");
        services = option (types.attrsOf types.anything) { };
      };
    };

    config.system.build.toplevel = package "nixos-system";
  };

  evaluated =
    modules:
    lib.evalModules {
      modules = [ stand-ins ] ++ modules;
      specialArgs = {
        inherit pkgs;
        modulesPath = ./.;
      };
    };
in
{
  # The configuration of these modules.
  evaluate = modules: (evaluated modules).config;

  # What they declare, whatever they set.
  optionsOf = modules: (evaluated (modules ++ [ { _module.check = false; } ])).options;
}
