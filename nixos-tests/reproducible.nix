# The same system gives the same image, byte for byte.
{
  name = "esp-builder-reproducible";

  nodes.machine =
    {
      config,
      lib,
      ...
    }:
    {
      imports = [ ../nix/modules/image.nix ];
      fileSystems."/" = {
        device = "/dev/disk/by-label/nixos";
        fsType = "ext4";
      };
      boot.loader.espBuilder.enable = true;
      image.compose = {
        esp.enable = true;
        partitions."20-root" = {
          system = config.system.build.toplevel;
          repartConfig = {
            Type = "root";
            Format = "ext4";
            Label = "nixos";
          };
        };
      };
      # Another build of the same, at another time and in another folder.
      system.build.again = config.system.build.image.overrideAttrs { again = true; };
      virtualisation.fileSystems = lib.mkForce { };
    };

  testScript =
    { nodes, ... }:
    let
      inherit (nodes.machine.system.build) again image;
      inherit (nodes.machine.image) filePath;
    in
    ''
      import filecmp

      assert filecmp.cmp("${image}/${filePath}", "${again}/${filePath}", shallow=False)
    '';
}
