# What the guest asks of Nix once the registration is done, for the serial port; then it goes
# to another generation, as `nixos-rebuild boot` does.
{ toplevel, next }:
''
  [Unit]
  Description=Report
  DefaultDependencies=no
  After=sysinit.target register-composed-store.service
  Requires=sysinit.target

  [Service]
  Type=oneshot
  StandardOutput=tty
  TTYPath=/dev/ttyS0
  Environment=HOME=/root PATH=/usr/sbin:/usr/bin
  ExecStart=-/bin/sh -c '\
    say() { printf "%%s=%%s\\r\\n" "$$1" "$$2"; }; \
    dmesg -n 1; printf "\\r\\n=== guest report begin ===\\r\\n"; \
    say unit "$$(systemctl show --property Result --value register-composed-store.service)"; \
    say file "$$(test -e /nix-path-registration && echo there || echo gone)"; \
    say profile "$$(readlink -f /nix/var/nix/profiles/system)"; \
    say verify "$$(nix-store --verify --check-contents >/run/verify 2>&1; echo $$?)"; \
    say known "$$(nix-store --query --requisites ${toplevel} | wc -l)"; \
    say generations "$$(nix-env --profile /nix/var/nix/profiles/system --list-generations | wc -l)"; \
    say again "$$(systemctl restart register-composed-store.service; systemctl show --property ConditionResult --value register-composed-store.service)"; \
    mount -t vfat /dev/vda1 /boot; \
    nix-env --profile /nix/var/nix/profiles/system --set ${next.toplevel}; \
    ${next.installBootLoader} ${next.toplevel} >/run/hook 2>&1 || cat /run/hook; \
    say entries "$$(ls /boot/loader/entries | tr "\\n" ,)"; \
    say default "$$(sed -n s/^default.//p /boot/loader/loader.conf)"; \
    umount /boot; \
    printf "=== guest report end ===\\r\\n"; sync'
  ExecStopPost=/usr/bin/systemctl poweroff --force --force
''
