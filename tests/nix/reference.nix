# The options of our modules as a page of the book, in Markdown, with nothing but the library
# of nixpkgs. `scripts/nix-checks` compares it with `docs/reference/nixos-options.md`.
{ lib }:

let
  inherit (import ./bare.nix { inherit lib; }) optionsOf;

  options =
    lib.filter (option: option.visible && !option.internal && lib.any (under option.name) sections)
      (
        lib.optionAttrSetToDocList (optionsOf [
          ../../nix/modules/image.nix
          ../../nix/modules/qemu-vm.nix
        ])
      );

  sections = [
    "boot.loader.espBuilder"
    "image.compose"
    "virtualisation.composeImage"
  ];

  under = name: section: lib.hasPrefix "${section}." name;

  # Roles of texts in NixOS's manual, which Markdown has not.
  plain = lib.replaceStrings [ "{option}" "{command}" "{file}" "{manpage}" ] [ "" "" "" "" ];

  value =
    what:
    if what._type == "literalMD" then
      lib.trim (plain what.text)
    else if lib.hasInfix "\n" what.text then
      "\n\n  ```nix\n  ${lib.replaceStrings [ "\n" ] [ "\n  " ] (lib.trim what.text)}\n  ```"
    else
      "`${what.text}`";

  item = label: text: lib.optional (text != null) "- ${label}:${text}";
  valueOf = what: lib.mapNullable (what: lib.optionalString (!isBlock what) " " + value what) what;
  isBlock = what: what._type != "literalMD" && lib.hasInfix "\n" what.text;

  describe = option: ''
    ### `${option.name}`

    ${lib.trim (plain option.description)}

    ${lib.concatStringsSep "\n" (
      item "type" " ${option.type}${lib.optionalString option.readOnly ", read only"}"
      ++ item "default" (valueOf (option.default or null))
      ++ item "example" (valueOf (option.example or null))
    )}
  '';

  section =
    name:
    lib.concatStringsSep "\n" (
      [ "## ${name}\n" ] ++ map describe (lib.filter (option: under option.name name) options)
    );
in
''
  # Options of NixOS

  Written from the modules by `scripts/nix-checks options`. [NixOS](../nixos.md) says what they
  are for.

  ${lib.concatMapStringsSep "\n" section sections}
''
