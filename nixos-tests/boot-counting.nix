# A good entry loses its counter. One that never becomes good is tried three times; then the one
# before it starts.
let
  counting = {
    imports = [ ./installed.nix ];
    boot.loader.espBuilder.bootCounting.enable = true;
  };
in
{
  name = "esp-builder-boot-counting";

  nodes = {
    machine =
      { nodes, ... }:
      {
        imports = [ counting ];
        virtualisation.additionalPaths = [ nodes.bad.system.build.toplevel ];
      };
    bad = {
      imports = [ counting ];
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
      machine.wait_for_unit("systemd-bless-boot.service")
      assert not any("+" in name for name in entries()), entries()

      good = machine.succeed("readlink -f /run/booted-system")
      activate("${nodes.bad.system.build.toplevel}")
      assert any("+3-0.conf" in name for name in entries()), entries()

      for left in ("+2-1", "+1-2", "+0-3"):
          restart()
          assert machine.succeed("readlink -f /run/booted-system") != good
          assert any(f"{left}.conf" in name for name in entries()), entries()
      restart()
      assert machine.succeed("readlink -f /run/booted-system") == good
      judge()
    '';
}
