# A virtual machine that boots through its boot loader; its ESP is composed when it starts.
{
  boot.loader.espBuilder.enable = true;

  virtualisation.composeImage = {
    enable = true;
    # "full" has root and store on the disk too.
    mode = "esp";
  };
}
