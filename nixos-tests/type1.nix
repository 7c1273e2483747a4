# The installer writes entries that systemd-boot starts, and leaves one menu behind.
{
  name = "esp-builder-type1";

  nodes = {
    machine =
      { nodes, ... }:
      {
        imports = [ ./installed.nix ];
        virtualisation.additionalPaths = [ nodes.newer.system.build.toplevel ];
      };
    newer = {
      imports = [ ./installed.nix ];
      system.nixos.label = "newer";
    };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./generations.py}

      machine.start()
      machine.wait_for_unit("multi-user.target")
      assert "systemd-boot" in machine.succeed("bootctl status")

      with subtest("a new generation is in the menu, and starts"):
          activate("${nodes.newer.system.build.toplevel}")
          assert entries() == ["nixos-generation-1.conf", "nixos-generation-2.conf"], entries()
          judge()
          restart()
          machine.succeed("test $(readlink -f /run/booted-system) = ${nodes.newer.system.build.toplevel}")

      with subtest("another run changes nothing"):
          stamps = "find $(bootctl --print-esp-path) -type f -printf '%p %T@\n' | sort"
          before = machine.succeed(stamps)
          machine.succeed("${nodes.newer.system.build.toplevel}/bin/switch-to-configuration boot")
          assert before == machine.succeed(stamps)

      with subtest("firmware knows the boot loader"):
          assert "Linux Boot Manager" in machine.succeed("bootctl status")
    '';
}
