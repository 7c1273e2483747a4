# Rules out other boot loaders where what boots is composed, whatever the machine has. Asking
# which it has would be asking whether it has ours.
{
  lib,
  options,
  # With which priority.
  override,
}:
lib.genAttrs (lib.filter (name: options.boot.loader ? ${name}) (import ./other-boot-loaders.nix))
  (_: {
    enable = override false;
  })
