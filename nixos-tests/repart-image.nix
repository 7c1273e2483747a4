# systemd-repart as the engine makes an image that boots too.
{
  name = "esp-builder-repart-image";

  nodes.machine = {
    imports = [
      ./from-image.nix
      ../examples/nixos/image.nix
    ];
    image.compose.engine = "repart";
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./from_image.py}

      start_from(
          "${nodes.machine.system.build.image}/${nodes.machine.image.filePath}",
          "${nodes.machine.virtualisation.qemu.package}",
      )
      machine.succeed("bootctl status >&2", "nix-store --verify --check-contents")
    '';
}
