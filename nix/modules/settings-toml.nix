# The flags of a command line, as a TOML file: texts, numbers and lists of them are written
# as in JSON, so that no program is needed to write it.
{ lib }:

rec {
  type = lib.types.attrsOf (
    lib.types.oneOf [
      lib.types.bool
      lib.types.int
      lib.types.str
      (lib.types.listOf lib.types.str)
    ]
  );

  text = lib.generators.toKeyValue {
    mkKeyValue = name: value: "${name} = ${builtins.toJSON value}";
  };

  # The file, where `pkgs` is at hand.
  file = pkgs: settings: pkgs.writeText "esp-builder.toml" (text settings);
}
