# A TPM holds what `esp-builder measure` says it will.
{
  name = "esp-builder-measured-boot";

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ ./uki-machine.nix ];
      # The phases of a boot are measured too, on demand.
      boot.initrd.systemd.tpm2.pcrphases.enable = true;
      systemd.tpm2.pcrphases.enable = true;
      environment.systemPackages = [
        pkgs.jq
        pkgs.tpm2-tools
      ];
      virtualisation = {
        # By itself, this firmware has no driver for a TPM, and nothing is measured.
        efi.OVMF = (pkgs.OVMF.override { tpmSupport = true; }).fd;
        tpm.enable = true;
      };
    };

  testScript = ''
    machine.start()
    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("systemd-pcrphase.service")
    image = "/boot/EFI/Linux/nixos-generation-1.efi"
    query = '.profiles[]."pcr-11"[].sha256'
    expected = machine.succeed(f"esp-builder measure --json {image} | jq -r '{query}'").split()
    found = machine.succeed("tpm2_pcrread sha256:11 | sed -n 's/.*: 0x//p'").strip().lower()
    assert found in expected, (found, expected)
  '';
}
