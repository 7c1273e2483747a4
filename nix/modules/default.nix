# The modules by what they are for. `default` is what a machine imports: the installer, and
# an image variant `compose` for `nixos-rebuild build-image`. `image` is imported in its place
# where the configuration itself is to be an image, `qemu-vm` in tests and variants of virtual
# machines.
{
  default = {
    imports = [
      ./esp-builder.nix
      ./image-variant.nix
    ];
  };
  esp-builder = ./esp-builder.nix;
  image = ./image.nix;
  qemu-vm = ./qemu-vm.nix;
  registration = ./registration.nix;
}
