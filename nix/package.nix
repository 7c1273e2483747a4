# Both programs, with manual pages and completions: `callPackage ./nix/package.nix { }`.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  makeBinaryWrapper,
  btrfs-progs,
  erofs-utils,
  squashfsTools,
  versionCheckHook,
  xfsprogs,
  xz,
  zstd,
  # The programs that `compose` finds in PATH come last there: a system's own win.
  runtimePrograms ? [
    btrfs-progs
    erofs-utils
    squashfsTools
    xfsprogs
    xz
    zstd
  ],
}:

let
  inherit (lib) fileset;
  workspace = lib.importTOML ../Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = "esp-builder";
  inherit (workspace.workspace.package) version;

  # Only what the compiler reads: another document does not make another package.
  src = fileset.toSource {
    root = ../.;
    fileset = fileset.unions (
      [
        ../Cargo.toml
        ../Cargo.lock
      ]
      ++ map (member: ../. + "/${member}") workspace.workspace.members
    );
  };

  cargoLock.lockFile = ../Cargo.lock;

  cargoBuildFlags = [
    "--package=esp-builder"
    "--package=composer"
  ];

  # The integration tests want referees, a kernel and QEMU; `make test` runs them.
  cargoTestFlags = [
    "--workspace"
    "--exclude=integration-tests"
  ];

  nativeBuildInputs = [
    installShellFiles
    makeBinaryWrapper
  ];

  nativeInstallCheckInputs = [ versionCheckHook ];
  doInstallCheck = true;

  postInstall =
    lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
      for program in esp-builder compose; do
        "$out/bin/$program" --manual manual
        installShellCompletion --cmd "$program" \
          --bash <("$out/bin/$program" --generate bash) \
          --fish <("$out/bin/$program" --generate fish) \
          --zsh <("$out/bin/$program" --generate zsh)
      done
      installManPage manual/*.1
    ''
    + lib.optionalString (runtimePrograms != [ ]) ''
      wrapProgram "$out/bin/compose" --suffix PATH : ${lib.makeBinPath runtimePrograms}
    '';

  meta = {
    description = "Lays out EFI System Partitions from bootspec documents and composes disk images of them";
    longDescription = ''
      `esp-builder` reads bootspec documents of NixOS, or just a kernel, and lays out a
      complete EFI System Partition, as a tree or on a partition in use. `compose` writes
      such trees into the partitions of a GPT image, without root or a virtual machine.
    '';
    license = lib.licenses.mit;
    maintainers = [ ];
    platforms = lib.platforms.linux;
    mainProgram = "esp-builder";
  };
}
