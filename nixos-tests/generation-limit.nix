# No more generations are in the menu than are asked for, and the oldest go.
{
  name = "esp-builder-generation-limit";

  nodes = {
    machine =
      { nodes, ... }:
      {
        imports = [ ./installed.nix ];
        virtualisation.additionalPaths = map (node: node.system.build.toplevel) [
          nodes.second
          nodes.third
        ];
      };
    second = {
      imports = [ ./installed.nix ];
      boot.loader.espBuilder.configurationLimit = 2;
      system.nixos.label = "second";
    };
    third = {
      imports = [ ./installed.nix ];
      boot.loader.espBuilder.configurationLimit = 2;
      system.nixos.label = "third";
    };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./generations.py}

      machine.start()
      machine.wait_for_unit("multi-user.target")
      activate("${nodes.second.system.build.toplevel}")
      restart()
      activate("${nodes.third.system.build.toplevel}")
      assert entries() == ["nixos-generation-2.conf", "nixos-generation-3.conf"], entries()
      judge()
    '';
}
