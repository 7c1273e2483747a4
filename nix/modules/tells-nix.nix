# A unit that tells Nix of paths in the store, before anything asks Nix for them.
{
  description,
  # When there is something to tell.
  condition,
  script,
  serviceConfig ? { },
}:
{
  inherit description script;
  unitConfig = condition // {
    DefaultDependencies = false;
    RequiresMountsFor = "/nix/store /nix/var";
  };
  wantedBy = [ "sysinit.target" ];
  before = [
    "sysinit.target"
    "shutdown.target"
    "nix-daemon.socket"
    "nix-daemon.service"
  ];
  after = [ "local-fs.target" ];
  conflicts = [ "shutdown.target" ];
  restartIfChanged = false;
  serviceConfig = serviceConfig // {
    Type = "oneshot";
    RemainAfterExit = true;
  };
  # Nix looks for a user's files in HOME, which a unit has not.
  environment.HOME = "/root";
}
