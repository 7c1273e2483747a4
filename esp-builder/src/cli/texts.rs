//! What `--help` and the manual pages say behind the options: examples first.
//!
//! A line that ends in a colon is a heading there, and the indented lines below it stay
//! as they are. `Exit status:` and `Files:` go to the pages of all commands.

/// Of the program.
pub(super) const MAIN: &str = "\
Examples:
  esp-builder --bootspec /run/current-system/boot.json out/
  esp-builder --bootspec 41=old.json --bootspec 42=new.json --default 41 out/
  esp-builder --profile /nix/var/nix/profiles/system --limit 10 out/
  esp-builder --generations list.json out/
  esp-builder --root /mnt --bootspec /mnt/etc/boot.json --by-reference out/
  esp-builder --kernel bzImage --initrd initrd --cmdline root=/dev/vda2 out/
  esp-builder plan --esp /boot
  esp-builder install --esp /boot /run/current-system
  esp-builder --profile /nix/var/nix/profiles/system --secure-boot-key db.key \\
    --secure-boot-certificate db.pem out/
  esp-builder uki --kernel bzImage --initrd initrd --cmdline quiet -o linux.efi

The result is OUT/esp (and OUT/xbootldr when asked for) with OUT/manifest.json
beside it, which compose turns into a disk image.

Exit status:
  0  done
  1  refused or failed
  2  wrong usage
  3  `plan` does not fit, `diff` found a difference, `verify` found damage, or
     `signatures` found none of those wanted

Files:
  OUT/manifest.json                  what is in a tree, and where it comes from
  ESP/loader/esp-builder.json        what is ours on a partition in use
  ESP/loader/loader.conf             the menu's settings
  ESP/loader/entries/, EFI/Linux/    the menu
  /nix/var/nix/profiles/system       the generations that `install` takes";

/// Of `install`.
pub(super) const INSTALL: &str = "\
Examples:
  esp-builder install --esp /boot /run/current-system
  esp-builder install --esp /efi --boot /boot --fit --limit 20
  esp-builder install --esp /boot --esp /boot-mirror --tries 3
  esp-builder install --esp /boot --layout uki \\
    --secure-boot-key db.key --secure-boot-certificate db.pem
  esp-builder install --esp /mnt/boot --root /mnt --no-variables /mnt/toplevel";

/// Of `plan`.
pub(super) const PLAN: &str = "\
Examples:
  esp-builder plan --esp /boot
  esp-builder plan --esp /boot --json --layout uki || echo 'it would not fit'";

/// Of `diff`.
pub(super) const DIFF: &str = "\
Examples:
  esp-builder diff --esp /boot
  esp-builder diff --esp /boot --timeout 10 /run/current-system";

/// Of `verify`.
pub(super) const VERIFY: &str = "\
Examples:
  esp-builder verify --esp /boot
  esp-builder verify --esp /boot || esp-builder repair --esp /boot";

/// Of `repair`.
pub(super) const REPAIR: &str = "\
Examples:
  esp-builder repair --esp /boot --dry-run
  esp-builder repair --esp /boot";

/// Of `explain`.
pub(super) const EXPLAIN: &str = "\
Examples:
  esp-builder explain --esp /boot /loader/entries/nixos-generation-3.conf";

/// Of `status`.
pub(super) const STATUS: &str = "\
Examples:
  esp-builder status --esp /boot
  esp-builder status --esp /efi --boot /boot --json";

/// Of `keys`.
pub(super) const KEYS: &str = "\
Examples:
  esp-builder keys generate keys/
  esp-builder keys generate keys/ --add-db microsoft-uefi-ca.pem --bits 4096
  esp-builder --kernel bzImage --enroll-keys keys/ --secure-boot-key keys/db.key \\
    --secure-boot-certificate keys/db.pem out/

Files:
  DIRECTORY/PK.key, KEK.key, db.key    private keys, for their owner alone
  DIRECTORY/PK.pem, KEK.pem, db.pem    certificates
  DIRECTORY/PK.esl, KEK.esl, db.esl    signature lists
  DIRECTORY/PK.auth, KEK.auth, db.auth signed updates, which firmware takes";

/// Of `sign`.
pub(super) const SIGN: &str = "\
Examples:
  esp-builder sign --key db.key --certificate db.pem shellx64.efi -o signed.efi
  esp-builder sign --certificate db.pem linux.efi -o linux.efi \\
    --sign-command 'pkcs11-tool --sign --mechanism SHA256-RSA-PKCS --id 01'";

/// Of `signatures`.
pub(super) const SIGNATURES: &str = "\
Examples:
  esp-builder signatures linux.efi
  esp-builder signatures linux.efi --certificate db.pem";

/// Of `digests`.
pub(super) const DIGESTS: &str = "\
Examples:
  esp-builder digests out/ --to ask/ > digests.json
  openssl dgst -sha256 -sign db.key -out answer/FILE.sig ask/FILE.tbs
  esp-builder attach out/ answer/ --certificate db.pem";

/// Of `attach`.
pub(super) const ATTACH: &str = "\
Examples:
  esp-builder attach out/ answer/ --certificate db.pem";
