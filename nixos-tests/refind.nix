# rEFInd starts generations from stanzas.
import ./another-boot-loader.nix "refind"
