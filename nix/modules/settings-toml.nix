# The flags of a command line, as a TOML file: texts, numbers and lists of them are written
# as in JSON, so that no program is needed to write it.
{ lib }:

let
  inherit (lib) types;

  text = lib.generators.toKeyValue {
    mkKeyValue = name: value: "${name} = ${builtins.toJSON value}";
  };
in
{
  type = types.attrsOf (
    types.oneOf [
      types.bool
      types.int
      types.str
      (types.listOf types.str)
    ]
  );

  # The file, where `pkgs` is at hand.
  file = pkgs: settings: pkgs.writeText "esp-builder.toml" (text settings);
}
