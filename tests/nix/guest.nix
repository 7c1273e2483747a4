# A NixOS system of stand-ins that still boots, with a kernel and an initrd from outside:
# everything that a boot loader, an image or a runner sees is what NixOS makes of it. What
# the guest itself would run is left out.
{
  kernel,
  initrd,
}:
{
  config,
  lib,
  pkgs,
  ...
}:

let
  version = "6.12.0";
  kernelPackage = lib.makeOverridable (
    _:
    pkgs.runCommand "linux-${version}" {
      passthru = {
        inherit version;
        modDirVersion = version;
        features.efiBootStub = true;
        target = "bzImage";
        configfile = pkgs.emptyFile;
        buildDTBs = false;
        config = lib.genAttrs [ "isSet" "isYes" "isNo" "isModule" "isEnabled" "isDisabled" ] (_: _: true);
        kernelAtLeast = _: true;
        kernelOlder = _: false;
      };
    } "install -D -m 444 ${kernel} $out/bzImage"
  ) { };
in
{
  boot = {
    kernelPackages = pkgs.linuxPackagesFor kernelPackage;
    initrd.enable = true;
    kernelParams = [ "console=ttyS0" ];
  };
  documentation.enable = false;
  hardware.firmware = lib.mkForce [ ];
  system = {
    activatable = false;
    checks = lib.mkForce [ ];
    switch.enable = false;
    systemBuilderArgs.perl = lib.mkForce pkgs.perl;
    build.initialRamdisk = lib.mkForce (
      pkgs.runCommand "initrd" { } "install -D -m 444 ${initrd} $out/initrd"
    );
    build.etc = lib.mkForce (pkgs.runCommand "etc" { passthru.targets = [ ]; } "mkdir -p $out/etc");
    modulesTree = lib.mkForce [ pkgs.emptyDirectory ];
    path = lib.mkForce pkgs.emptyDirectory;
    stateVersion = config.system.nixos.release;
  };
  system.boot.loader.initrdFile = "initrd";
}
