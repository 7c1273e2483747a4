# A machine whose menu is a Unified Kernel Image for each generation.
{ ... }:
{
  imports = [ ./installed.nix ];
  boot.loader.espBuilder.layout = "uki";
}
