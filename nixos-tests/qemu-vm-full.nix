# A machine whose whole disk is composed when it starts, keeps what it writes, and has none of
# it in the store of the host.
{
  name = "esp-builder-qemu-vm-full";

  nodes.machine = ./installed.nix;

  testScript = ''
    ${builtins.readFile ./generations.py}


    def composed() -> list[tuple[str, int]]:
        """The disks that were composed, and when."""
        disks = machine.state_dir.glob("machine-compose/*.raw")
        return [(disk.name, disk.stat().st_mtime_ns) for disk in disks]


    machine.start()
    machine.wait_for_unit("multi-user.target")
    assert machine.succeed("findmnt --noheadings --output FSTYPE /").strip() == "ext4"
    machine.fail("mount | grep 9p | grep /nix")
    judge()
    before = composed()
    assert len(before) == 1, before
    machine.succeed("echo kept > /root/kept")
    restart()
    assert machine.succeed("cat /root/kept") == "kept\n"
    assert composed() == before
  '';
}
