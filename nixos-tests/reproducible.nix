# The same system gives the same image, byte for byte.
{
  name = "esp-builder-reproducible";

  nodes.machine =
    { config, ... }:
    {
      imports = [
        ./from-image.nix
        ../examples/nixos/image.nix
      ];
      # Another build of the same, at another time and in another folder.
      system.build.again = config.system.build.image.overrideAttrs { again = true; };
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
