# Firmware starts the image of the default system, without a boot loader.
import ./another-boot-loader.nix "uki" // { name = "esp-builder-uki-alone"; }
