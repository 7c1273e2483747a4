# systemd-sysupdate puts a newer Unified Kernel Image beside the one that runs, and the boot
# loader starts the newer one.
{
  name = "esp-builder-sysupdate";

  nodes.machine = {
    imports = [ ./uki-machine.nix ];
    environment.etc."sysupdate.d/50-uki.transfer".text = ''
      [Transfer]
      Verify=no
      [Source]
      Type=regular-file
      Path=/var/updates
      MatchPattern=nixos_@v.efi
      [Target]
      Type=regular-file
      Path=/EFI/Linux
      PathRelativeTo=boot
      MatchPattern=nixos_@v+@l-@d.efi nixos_@v+@l.efi nixos_@v.efi
      Mode=0444
      TriesLeft=3
      TriesDone=0
      InstancesMax=2
    '';
  };

  testScript = ''
    ${builtins.readFile ./generations.py}

    machine.start()
    machine.wait_for_unit("multi-user.target")
    machine.succeed("mkdir -p /var/updates")
    machine.succeed("cp /boot/EFI/Linux/nixos-generation-1.efi /var/updates/nixos_2.efi")
    machine.succeed("/run/current-system/systemd/lib/systemd/systemd-sysupdate update >&2")
    machine.succeed("ls /boot/EFI/Linux/nixos_2+3-0.efi")
    restart()
    assert "nixos_2" in machine.succeed("bootctl status")
  '';
}
