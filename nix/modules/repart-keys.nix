# The keys of repart.d as they are in `[[partition]]` of an image description: in kebab-case,
# with values of their own types in place of systemd's spellings.
{ lib }:

let
  spelt = {
    AddValidateFS = "add-validate-fs";
    EncryptKDF = "encrypt-kdf";
    TPM2PCRs = "tpm2-pcrs";
    UUID = "uuid";
  };

  booleans = [
    "AddValidateFS"
    "Discard"
    "FactoryReset"
    "GrowFileSystem"
    "NoAuto"
    "ReadOnly"
  ];

  # Each assignment is one item, or many words.
  items = [
    "CopyFiles"
    "MountPoint"
  ];
  words = [
    "ExcludeFiles"
    "ExcludeFilesTarget"
    "MakeDirectories"
    "MakeSymlinks"
    "Subvolumes"
  ];

  numbers = [
    "Flags"
    "PaddingWeight"
    "Priority"
    "Weight"
  ];

  isYes =
    value:
    lib.elem (toString value) [
      "1"
      "on"
      "t"
      "true"
      "y"
      "yes"
    ];

  value =
    key: given:
    if lib.elem key booleans then
      isYes (if lib.isBool given then lib.boolToString given else given)
    else if lib.elem key items then
      lib.toList given
    else if lib.elem key words then
      lib.concatMap (text: lib.filter (word: word != "") (lib.splitString " " text)) (lib.toList given)
    else if lib.elem key numbers && lib.isString given then
      lib.toIntBase10 given
    else if lib.isBool given then
      lib.boolToYesNo given
    else
      given;

  # `SizeMinBytes` becomes `size-min-bytes`.
  kebab =
    key:
    lib.removePrefix "-" (
      lib.concatMapStrings (
        letter: if letter == lib.toLower letter then letter else "-${lib.toLower letter}"
      ) (lib.stringToCharacters key)
    );
in
lib.mapAttrs' (key: given: lib.nameValuePair (spelt.${key} or (kebab key)) (value key given))
