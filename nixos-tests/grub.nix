# GRUB starts generations from a menu that is made as a file.
import ./another-boot-loader.nix "grub"
