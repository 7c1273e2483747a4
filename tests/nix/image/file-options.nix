# Stands for the module of NixOS by this name: what the file of an image is called.
{ config, lib, ... }:

let
  text =
    settings:
    lib.mkOption (
      {
        type = lib.types.str;
        visible = false;
      }
      // settings
    );
in
{
  options.image = {
    baseName = text { };
    extension = text { };
    fileName = text { default = "${config.image.baseName}.${config.image.extension}"; };
    filePath = text { default = config.image.fileName; };
  };
}
