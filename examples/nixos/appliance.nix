# An appliance whose store is checked by the kernel, and which systemd-sysupdate updates.
{
  fileSystems."/" = {
    fsType = "tmpfs";
    options = [ "mode=0755" ];
  };

  system.image = {
    id = "app";
    version = "7";
  };

  image.compose = {
    verityStore.enable = true;
    sysupdate = {
      enable = true;
      # A directory, too.
      source = "https://example.com/app";
      storeSize = "4G";
    };
  };

  # Nothing is written to the store.
  nix.enable = false;
}
