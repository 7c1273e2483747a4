#!/bin/busybox sh
# shellcheck shell=dash
# The init of the guests that tests and the demo boot (see scripts/guest-initrd):
# writes what the outside wants to know to the serial port and powers off.
# Nothing here may stop the report: a missing device or variable is a missing line.
PATH=/bin
export PATH
/bin/busybox --install -s /bin

mkdir -p /proc /sys /dev /mnt
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# Kernel messages would run into the lines of the report.
dmesg -n 1
serial=/dev/ttyS0
[ -c /dev/ttyAMA0 ] && serial=/dev/ttyAMA0
exec </dev/null >"$serial" 2>&1

while read -r module; do
  insmod "/modules/$module" 2>/dev/null
done </modules/order
mount -t efivarfs efivarfs /sys/firmware/efi/efivars 2>/dev/null

# UTF-16LE on the input becomes one line of UTF-8; the NULs between the items of a
# list become blanks. Surrogates do not occur in loader variables.
utf16_text() {
  hexdump -v -e '1/2 "%u\n"' | awk '
    function put(unit) {
      if (unit < 128) printf "%c", unit
      else if (unit < 2048) printf "%c%c", 192 + int(unit / 64), 128 + unit % 64
      else printf "%c%c%c", 224 + int(unit / 4096), 128 + int(unit / 64) % 64, 128 + unit % 64
    }
    $1 < 32 { blank = started; next }
    { if (blank) printf " "; blank = 0; started = 1; put($1) }'
}

# Four bytes of attributes come before the value.
efi_value() {
  tail -c +5 "$1"
}

efi_variables() {
  loader=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
  global=8be4df61-93ca-11d2-aa0d-00e098032b8c
  cd /sys/firmware/efi/efivars 2>/dev/null || return
  for file in *-"$loader"; do
    [ -e "$file" ] || continue
    name=${file%-"$loader"}
    case $name in
      *Features | *Token | *Seed) text=$(efi_value "$file" | hexdump -v -e '1/1 "%02x"') ;;
      *) text=$(efi_value "$file" | utf16_text) ;;
    esac
    echo "efi.$name=$text"
  done
  for name in SecureBoot SetupMode; do
    [ -e "$name-$global" ] && echo "efi.$name=$(efi_value "$name-$global" | hexdump -v -e '1/1 "%u"')"
  done
}

pcrs() {
  for number in 4 5 7 9 11 12 13; do
    file=/sys/class/tpm/tpm0/pcr-sha256/$number
    [ -r "$file" ] && echo "pcr.sha256.$number=$(cat "$file")"
  done
}

# name: and partuuid: only where this kernel's sysfs tells them.
partitions() {
  for folder in /sys/block/vd*/vd*; do
    [ -e "$folder/partition" ] || continue
    line="start:$(cat "$folder/start") sectors:$(cat "$folder/size")"
    name=$(sed -n 's/^PARTNAME=//p' "$folder/uevent")
    uuid=$(sed -n 's/^PARTUUID=//p' "$folder/uevent")
    echo "part.${folder##*/}=$line${uuid:+ partuuid:$uuid}${name:+ name:$name}"
  done
}

# guest.sh=vda1/path on the command line: a script on a FAT partition of the disk
# adds lines to the report, and may change the partition.
hook() {
  # shellcheck disable=SC2013 # words are wanted
  for word in $(cat /proc/cmdline); do
    case $word in
      guest.sh=*/*)
        where=${word#guest.sh=}
        mount -t vfat "/dev/${where%%/*}" /mnt || continue
        (cd /mnt && sh "/mnt/${where#*/}")
        echo "hook.status=$?"
        umount /mnt
        ;;
    esac
  done
}

# What the stub found beside its image, and which machine a device tree describes.
handed_over() {
  for file in /.extra/credentials/* /.extra/global_credentials/*; do
    [ -f "$file" ] && echo "credential.${file##*/}=$(cat "$file")"
  done
  [ -r /proc/device-tree/model ] && echo "model=$(tr -d '\0' </proc/device-tree/model)"
}

report() {
  echo "cmdline=$(cat /proc/cmdline)"
  echo "kernel=$(uname -r)"
  handed_over
  efi_variables
  pcrs
  partitions
  hook
  listing
}

# guest.list=vda1 on the command line: every file of that FAT partition with its
# digest, as the kernel's own driver reads it.
listing() {
  # shellcheck disable=SC2013 # words are wanted
  for word in $(cat /proc/cmdline); do
    case $word in
      guest.list=*)
        mount -t vfat -o ro,utf8 "/dev/${word#guest.list=}" /mnt || continue
        cd /mnt && find . -type f -exec sha256sum {} + | sort -k 2 |
          sed 's|^\([0-9a-f]*\) *\./\(.*\)|file.\2=\1|'
        cd / && umount /mnt
        echo 'list.end=yes'
        ;;
    esac
  done
}

# guest.root=vda2 on the command line: the system of an ext4 partition goes on from here,
# by what init= names there; its report is its own.
go_on() {
  root='' init=''
  # shellcheck disable=SC2013 # words are wanted
  for word in $(cat /proc/cmdline); do
    case $word in
      guest.root=*) root=${word#guest.root=} ;;
      init=*) init=${word#init=} ;;
    esac
  done
  [ -n "$root" ] || return
  mount -t ext4 "/dev/$root" /mnt || return
  for folder in proc sys dev; do
    mount --move "/$folder" "/mnt/$folder"
  done
  exec switch_root /mnt "$init"
}

go_on
# Whole and at once, so that nothing comes in between.
report >/report
echo
echo '=== guest report begin ==='
cat /report
echo '=== guest report end ==='
sync
poweroff -f
