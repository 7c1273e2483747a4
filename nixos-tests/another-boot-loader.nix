# A machine whose boot loader is another one: it starts the newest generation, and the one
# before it when that was activated again.
bootloader: {
  name = "esp-builder-${bootloader}";

  nodes =
    let
      node = {
        imports = [ ./installed.nix ];
        boot.loader.espBuilder = { inherit bootloader; };
      };
    in
    {
      machine =
        { nodes, ... }:
        {
          imports = [ node ];
          virtualisation.additionalPaths = [ nodes.newer.system.build.toplevel ];
        };
      newer = {
        imports = [ node ];
        system.nixos.label = "newer";
      };
    };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./generations.py}

      newer = "${nodes.newer.system.build.toplevel}"


      def booted() -> str:
          """The system that was started."""
          return machine.succeed("readlink -f /run/booted-system").strip()


      machine.start()
      machine.wait_for_unit("multi-user.target")
      older = booted()
      assert older != newer

      activate(newer)
      machine.succeed("esp-builder verify --esp /boot")
      restart()
      assert booted() == newer

      with subtest("the default is what was activated, not what is newest"):
          machine.succeed(f"nix-env --profile {PROFILE} --switch-generation 1")
          machine.succeed(f"{older}/bin/switch-to-configuration boot")
          machine.succeed("esp-builder verify --esp /boot")
          machine.succeed("umount /boot", "fsck.vfat -n /dev/disk/by-label/ESP")
          restart()
          assert booted() == older
    '';
}
