# Makes Nix know the store that an image brought along: loads `/nix-path-registration` into
# the database, before anything asks for it, and removes the file. The system that was booted
# becomes the first generation where the image has none. An interrupted run starts over.
{
  config,
  lib,
  ...
}:

let
  cfg = config.image.compose.registration;
  nix = config.nix.package.out;
  tellsNix = import ./tells-nix.nix;
  # As long as it is there, the work is not done.
  file = "/nix-path-registration";
  profile = "/nix/var/nix/profiles/system";
in
{
  options.image.compose.registration.enable = lib.mkOption {
    type = lib.types.bool;
    default = config.nix.enable;
    defaultText = lib.literalExpression "config.nix.enable";
    description = "Whether the first boot makes Nix know the store of the image.";
  };

  config.systemd.services.register-composed-store = lib.mkIf cfg.enable (tellsNix {
    description = "Register the Store of the Image";
    condition.ConditionPathExists = file;
    script = ''
      set -eu
      ${lib.getExe' nix "nix-store"} --load-db < ${file}
      ${lib.optionalString ((config.nix.daemonUser or "root") != "root") ''
        chown -R ${config.nix.daemonUser}:${config.nix.daemonGroup} /nix/var/nix/db
      ''}
      if [ ! -e ${profile} ]; then
        mkdir -p ${dirOf profile}
        ${lib.getExe' nix "nix-env"} --profile ${profile} --set "$(readlink -f /run/current-system)"
      fi
      # Without it, `switch-to-configuration` takes this for another distribution.
      [ -e /etc/NIXOS ] || touch /etc/NIXOS
      sync
      rm ${file}
    '';
  });
}
