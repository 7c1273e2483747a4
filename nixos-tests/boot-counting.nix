# An entry that never becomes good is tried three times; then the one before it starts. A good
# one loses its counter.
{
  name = "esp-builder-boot-counting";

  nodes = {
    machine =
      { nodes, ... }:
      {
        imports = [ ./installed.nix ];
        virtualisation.additionalPaths = map (node: node.system.build.toplevel) [ nodes.bad ];
      };
    bad = {
      imports = [ ./installed.nix ];
      boot.loader.espBuilder.bootCounting.enable = true;
      system.nixos.label = "bad";
      # What must be reached for a boot to be good never is.
      systemd.services.never-good = {
        requiredBy = [ "boot-complete.target" ];
        before = [ "boot-complete.target" ];
        serviceConfig.Type = "oneshot";
        script = "exit 1";
      };
    };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./generations.py}

      machine.start()
      machine.wait_for_unit("multi-user.target")
      good = machine.succeed("readlink -f /run/booted-system")
      activate("${nodes.bad.system.build.toplevel}")
      assert any("+3-0.conf" in name for name in entries()), entries()

      for left in ("+2-1", "+1-2", "+0-3"):
          restart()
          assert machine.succeed("readlink -f /run/booted-system") != good
          assert any(f"{left}.conf" in name for name in entries()), entries()
      restart()
      assert machine.succeed("readlink -f /run/booted-system") == good
    '';
}
