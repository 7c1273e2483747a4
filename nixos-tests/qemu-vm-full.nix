# A machine whose whole disk is composed when it starts, keeps what it writes, and has none of
# it in the store of the host.
{
  name = "esp-builder-qemu-vm-full";

  nodes.machine = ./installed.nix;

  testScript = ''
    ${builtins.readFile ./generations.py}

    machine.start()
    machine.wait_for_unit("multi-user.target")
    assert machine.succeed("findmnt --noheadings --output FSTYPE /").strip() == "ext4"
    machine.fail("mount | grep 9p | grep /nix")
    machine.succeed("echo kept > /root/kept")
    restart()
    assert machine.succeed("cat /root/kept") == "kept\n"
    # One that is mounted has a mark that it was not unmounted.
    machine.succeed("umount /boot", "fsck.vfat -n /dev/disk/by-label/ESP")
  '';
}
