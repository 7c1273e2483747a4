# Limine starts generations from a menu with digests.
import ./another-boot-loader.nix "limine"
