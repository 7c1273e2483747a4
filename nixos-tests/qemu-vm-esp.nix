# A machine that boots from an ESP of its own and has its store from the host.
{
  name = "esp-builder-qemu-vm-esp";

  nodes.machine = {
    imports = [ ../nix/modules/qemu-vm.nix ];
    boot.loader.espBuilder.enable = true;
    environment.etc."machine-id".text = "1234567890abcdef1234567890abcdef\n";
    virtualisation.composeImage.enable = true;
  };

  testScript = ''
    machine.start()
    machine.wait_for_unit("multi-user.target")
    assert "nixos-generation-1.conf" in machine.succeed("bootctl status")
    machine.succeed("mount | grep 9p | grep /nix/.ro-store")
    with subtest("Nix knows the paths of the system"):
        machine.succeed("nix-store --query --requisites /run/current-system | grep nixos-system")
  '';
}
