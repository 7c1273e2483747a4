# nixpkgs without its builds: every package that is made from sources is a stand-in whose
# programs are those of this machine, in /usr/bin; what is written by Nix itself (texts,
# scripts, closures, environments) is built as always. With it, modules of NixOS can be
# tried where neither a binary cache nor a compiler is at hand.
{
  nixpkgs,
  system ? "x86_64-linux",
  # Where the programs of this project were built.
  programs,
}:

let
  lib = import (nixpkgs + "/lib");

  # Which attributes there are must do: their values may need the package that is being
  # defined. What is better built at once than fetched is a file of nixpkgs with changes.
  isFromSources = attrs: (attrs ? src || attrs ? srcs) && !attrs ? preferLocalBuild;

  isFetched = attrs: attrs ? outputHash && !attrs ? buildCommand;

  # What a stand-in keeps of the attributes of a package.
  kept = [
    "name"
    "pname"
    "version"
    "outputs"
    "meta"
  ];

  standIn =
    attrs:
    lib.getAttrs (lib.filter (name: attrs ? ${name}) kept) attrs
    // {
      # Others may ask for any of its attributes.
      passthru = removeAttrs attrs (kept ++ [ "passthru" ]) // attrs.passthru or { };
      buildCommand = ''
        for output in $outputs; do
          mkdir -p "''${!output}"
        done
        ln -s /usr/bin /usr/sbin /usr/lib "''${!outputBin}"
      '';
    };

  # Packages ask which compiler it is, not for its work.
  compiler =
    stdenv:
    let
      nothing = stdenv.mkDerivation (standIn {
        pname = "compiler";
        version = "0";
      });
    in
    nothing
    // {
      isGNU = true;
      isClang = false;
      targetPrefix = "";
      libc = nothing;
      cc = nothing;
      bintools = nothing // {
        isLLVM = false;
        dynamicLinker = "/lib64/ld-linux-x86-64.so.2";
      };
    };

  # `mkDerivation` with all that is left out of a stand-in still there to be overridden.
  extensible =
    stdenv: argument:
    let
      attrs = argument (attrs // { finalPackage = package; });
      made =
        if isFetched attrs then
          stdenv.mkDerivation (standIn attrs // { buildCommand = "touch $out"; })
        else
          stdenv.mkDerivation (standIn attrs);
      package =
        if isFetched attrs || isFromSources attrs then
          made
          // {
            overrideAttrs = change: extensible stdenv (lib.extends (lib.toExtension change) argument);
          }
        else
          stdenv.mkDerivation argument;
    in
    package;

  withStandIns =
    stdenv:
    stdenv
    // {
      mkDerivation =
        argument: extensible stdenv (if lib.isFunction argument then argument else _: argument);
      override = arguments: withStandIns (stdenv.override arguments);
      hasCC = true;
      cc = compiler stdenv;
    };

  # Programs in Haskell come from a file of 40 MB that a small copy of nixpkgs may lack, and
  # Nix itself is put together from many packages, with their tests.
  asOne =
    final: _previous:
    lib.genAttrs
      [
        "nix"
        "nixfmt"
        "pandoc"
        "shellcheck"
        "shellcheck-minimal"
      ]
      (
        pname:
        final.stdenv.mkDerivation {
          inherit pname;
          version = "2.34";
          src = null;
          meta.mainProgram = pname;
          passthru.compiler.bootstrapAvailable = false;
        }
      );

  ours = final: _previous: {
    esp-builder =
      final.runCommand "esp-builder"
        {
          meta.mainProgram = "esp-builder";
        }
        ''
          install -D ${programs + "/esp-builder"} "$out/bin/esp-builder"
          install -D ${programs + "/compose"} "$out/libexec/compose"
          # As the package does: programs for file systems come along.
          printf '#!/bin/sh\nPATH=$PATH:/usr/sbin exec %s "$@"\n' "$out/libexec/compose" \
            > "$out/bin/compose"
          chmod +x "$out/bin/compose"
        '';
  };

  # The native environment of nixpkgs, without a compiler.
  stages =
    {
      lib,
      localSystem,
      config,
      overlays,
      ...
    }:
    let
      native = lib.head (
        import (nixpkgs + "/pkgs/stdenv/native") {
          inherit
            lib
            localSystem
            config
            overlays
            ;
          crossSystem = localSystem;
        }
      );
    in
    [
      native
      (previous: {
        inherit config overlays;
        stdenv = withStandIns previous.stdenv;
      })
    ];
in
import (nixpkgs + "/pkgs/top-level") {
  localSystem = { inherit system; };
  stdenvStages = stages;
  config = { };
  overlays = [
    asOne
    ours
  ];
}
