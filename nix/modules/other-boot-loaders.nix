# Boot loaders that modules of NixOS install, by the names of their options. Older trees have
# not all of them.
[
  "generic-extlinux-compatible"
  "grub"
  "limine"
  "refind"
  "systemd-boot"
]
