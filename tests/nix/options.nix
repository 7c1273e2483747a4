# What options of our modules become, and which of them are refused together, with nothing but
# the library of nixpkgs: the tests that fail, and so an empty list.
#
#   nix-instantiate --eval --strict tests/nix/options.nix --arg lib 'import /path/to/lib'
{ lib }:

let
  inherit (import ./bare.nix { inherit lib; }) evaluate;

  # A system with the installer.
  installer =
    module:
    evaluate [
      ../../nix/modules/esp-builder.nix
      { boot.loader.espBuilder.enable = true; }
      module
    ];

  image =
    module:
    evaluate [
      ../../nix/modules/description.nix
      module
    ];

  # The description that `compose` reads.
  describe = module: builtins.fromJSON (image module).image.compose.description.text;

  # What NixOS would say, in one text.
  messages =
    config:
    lib.concatMapStringsSep "\n" (one: one.message) (
      lib.filter (one: !one.assertion) config.assertions
    );

  # A test that the installer is refused with these words, and for nothing else.
  refuses = words: module: {
    expr =
      let
        said = messages (installer module);
      in
      if lib.hasInfix words said && !lib.hasInfix "\n" said then words else said;
    expected = words;
  };

  # Which of these settings each boot loader is refused.
  refused =
    bootloaders: settings:
    lib.genAttrs bootloaders (
      bootloader:
      lib.pipe (installer (ours (settings // { inherit bootloader; }))) [
        messages
        (lib.splitString "\n")
        (lib.concatMap (
          message: lib.toList (builtins.match "boot\\.loader\\.espBuilder\\.([^ ]+) .*" message)
        ))
        (lib.filter (option: option != null))
      ]
    );

  # A test that an option has no such value.
  mistypes = module: {
    expr = (builtins.tryEval (builtins.deepSeq (describe module) true)).success;
    expected = false;
  };

  # A test that the installer's settings file holds these lines.
  writes = lines: settings: {
    expr =
      let
        config = installer { boot.loader.espBuilder = settings; };
        written = lib.splitString "\n" config.boot.loader.espBuilder.settingsFile.text;
      in
      {
        said = messages config;
        missing = lib.subtractLists written lines;
      };
    expected = {
      said = "";
      missing = [ ];
    };
  };

  # A test that the hook has these words.
  calls = words: module: {
    expr =
      let
        config = installer module;
        hook = config.boot.loader.external.installHook.text;
      in
      {
        said = messages config;
        missing = lib.filter (word: !lib.hasInfix word hook) words;
      };
    expected = {
      said = "";
      missing = [ ];
    };
  };

  # The flags of a command, which the program itself says it has.
  flagsOf =
    command: page:
    lib.pipe (builtins.readFile page) [
      (lib.splitString "## ${command}\n")
      lib.last
      (lib.splitString "\n## ")
      lib.head
      (lib.splitString "\n")
      (lib.concatMap (
        line:
        let
          flag = builtins.match "\\| `(-[a-zA-Z], )?--([a-z0-9-]+)[ `].*" line;
        in
        lib.optional (flag != null) (lib.last flag)
      ))
    ];

  ours = settings: { boot.loader.espBuilder = settings; };

  appliance = {
    image.compose = {
      name = "app";
      verityStore.enable = true;
      sysupdate = {
        enable = true;
        source = "https://example.com/app";
        storeSize = "3G";
      };
    };
    system.image.version = "7";
  };

  keys = {
    enable = true;
    key = "/etc/secure-boot/db.key";
    certificate = "/etc/secure-boot/db.pem";
  };
in
lib.runTests {
  testMountPointsAreAbsolute = refuses "must be absolute: boot" {
    boot.loader.efi.efiSysMountPoint = "boot";
  };

  testMountPointsAreDifferent = refuses "a mount point of its own: /boot /boot" (ours {
    mirrors = [ "/boot" ];
  });

  testOneBootLoaderIsEnough = refuses "disable boot.loader.grub and boot.loader.systemd-boot." {
    boot.loader.grub.enable = true;
    boot.loader.systemd-boot.enable = true;
  };

  testKernelsHaveAStub = refuses "no EFI stub" {
    boot.kernelPackages.kernel.features = { };
  };

  testCountersNeedFilesOfTheirOwn =
    refuses "bootCounting.enable is for the boot loader systemd-boot or none, not for grub"
      (ours {
        bootloader = "grub";
        bootCounting.enable = true;
      });

  testImagesNeedFilesOfTheirOwn =
    refuses "layout = \"uki\" is for the boot loader systemd-boot or uki or none, not for limine"
      (ours {
        bootloader = "limine";
        layout = "uki";
      });

  testAnImageAloneHasNoMenu =
    refuses "extraEntries is for the boot loader systemd-boot or grub or limine or refind or none or"
      (ours {
        bootloader = "uki";
        extraEntries."rescue.conf" = "efi /rescue.efi";
      });

  testSomeBootLoadersReadTheEspAlone =
    refuses "xbootldrMountPoint is for the boot loader systemd-boot or grub or"
      (ours {
        bootloader = "refind";
        xbootldrMountPoint = "/boot/extra";
      });

  testEachBootLoaderHasOptionsOfItsOwn = {
    expr = refused [ "systemd-boot" "grub" "uki" ] {
      consoleMode = "max";
      loaderConf.beep = true;
      menuPreamble = "x";
      grub.bootVolume = "ABCD-1234";
      limine.enrollConfig = true;
      extlinux.deviceTreeDir = "/nix/store/0000-dtbs";
      efiDrivers = [ "/nix/store/0000-driver" ];
      secureBoot.enrollKeys = "/keys";
      secureBoot.shim = "/shim";
    };
    expected = {
      systemd-boot = [
        "menuPreamble"
        "grub.bootVolume"
        "limine.enrollConfig"
        "extlinux.deviceTreeDir"
      ];
      grub = [
        "consoleMode"
        "loaderConf"
        "limine.enrollConfig"
        "extlinux.deviceTreeDir"
        "efiDrivers"
        "secureBoot.enrollKeys"
      ];
      uki = [
        "consoleMode"
        "loaderConf"
        "menuPreamble"
        "grub.bootVolume"
        "limine.enrollConfig"
        "extlinux.deviceTreeDir"
        "efiDrivers"
        "secureBoot.enrollKeys"
        "secureBoot.shim"
      ];
    };
  };

  testProgramsNeedAMenu = {
    expr = refused [ "refind" "extlinux" "uki" ] {
      edk2-uefi-shell.enable = true;
      extraEntries."tool.conf" = "title x";
      memtest86.enable = true;
      netbootxyz.enable = true;
      windows."11" = "HD0b";
    };
    expected = {
      refind = [ ];
      extlinux = [
        "windows"
        "edk2-uefi-shell.enable"
        "memtest86.enable"
        "netbootxyz.enable"
      ];
      uki = [
        "extraEntries"
        "windows"
        "edk2-uefi-shell.enable"
        "memtest86.enable"
        "netbootxyz.enable"
      ];
    };
  };

  testCompanionsNeedImages = refuses "the layout `type1` has none" (ours {
    ukiExtra = "/nix/store/0000-extra";
  });

  testShimStartsItsManager = refuses "mokManager is started by shim" (ours {
    secureBoot.mokManager = "/mm";
  });

  testANameIsThatOfKeys = refuses "enrollName names the keys of enrollKeys" (ours {
    secureBoot.enrollName = "manual";
  });

  testDeviceTreesHaveAName = refuses "needs hardware.deviceTree.name" (ours {
    installDeviceTree = true;
  });

  testSignaturesNeedACertificate = refuses "needs a certificate" (ours {
    secureBoot = keys // {
      certificate = null;
    };
  });

  testOneOfKeyAndCommandSigns = refuses "either a key or a signCommand" (ours {
    secureBoot = keys // {
      signCommand = "sign";
    };
  });

  testNoKeyIsInTheStore = refuses "in the store, where everybody can read it" (ours {
    secureBoot = keys // {
      key = "${builtins.storeDir}/0000-db.key";
    };
  });

  testExtraEntriesHaveNamesOfEntries = refuses "extraEntries.\"nixos-1.conf\"" (ours {
    extraEntries."nixos-1.conf" = "title x";
  });

  testExtraFilesStayOnThePartition = refuses "extraFiles.\"../x\"" (ours {
    extraFiles."../x" = "/nix/store/0000-x";
  });

  testNamesHoldNoSign = {
    expr = messages (
      installer (ours {
        extraEntries."a=b.conf" = "title x";
        extraFiles."a=b" = "/nix/store/0000-x";
        windows."a=b" = "HD0b";
        edk2-uefi-shell.enable = true;
      })
    );
    expected = ''
      boot.loader.espBuilder.extraEntries."a=b.conf": the name of an entry ends with .conf, holds no / and no =, and does not begin with nixos-.
      boot.loader.espBuilder.extraFiles."a=b": places are relative to the partition, stay on it and hold no =.
      boot.loader.espBuilder.windows."a=b": names hold no =.'';
  };

  testTheInstallerTakesThePlaceOfTheHook = {
    expr =
      let
        config = installer { };
      in
      [
        (messages config)
        config.boot.loader.external.enable
        config.boot.loader.supportsInitrdSecrets
        config.boot.bootspec.extensions."org.nixos.systemd-boot".sortKey
        config.system.boot.loader.id
      ];
    expected = [
      ""
      true
      true
      "nixos"
      "systemd-boot"
    ];
  };

  testSettingsComeFromNixos =
    writes
      [
        "timeout = 5"
        ''layout = "type1"''
        ''entry-names = "content"''
        "tries = 3"
        "limit = 20"
        ''distro-name = "NixOS"''
        ''systemd-boot = ["/nix/store/00000000000000000000000000000000-systemd/lib/systemd/boot/efi/systemd-bootx64.efi"]''
      ]
      {
        configurationLimit = 20;
        bootCounting.enable = true;
      };

  testImagesHaveAStub = writes [
    ''layout = "uki"''
    ''stub = ["/nix/store/00000000000000000000000000000000-systemd/lib/systemd/boot/efi/linuxx64.efi.stub"]''
  ] { layout = "uki"; };

  testGrubIsMade = writes [
    ''bootloader = "grub"''
    ''grub-mkimage = "/nix/store/00000000000000000000000000000000-grub/bin/grub-mkimage"''
  ] { bootloader = "grub"; };

  testKeysAreNamedAndNotCopied = writes [
    ''secure-boot-key = "/etc/secure-boot/db.key"''
    ''secure-boot-certificate = ["/etc/secure-boot/db.pem"]''
  ] { secureBoot = keys; };

  testSystemdBootIsSetInFull =
    writes
      [
        ''set = ["auto-firmware=no","beep=yes","log-level=debug"]''
        ''efi-driver = ["/nix/store/0000-driver"]''
        ''uki-extra = "/nix/store/0000-extra"''
        ''enroll-name = "manual"''
        ''shim = "/etc/shimx64.efi"''
        ''mok-manager = "/etc/mmx64.efi"''
      ]
      {
        layout = "uki";
        loaderConf = {
          auto-firmware = false;
          beep = true;
          log-level = "debug";
        };
        efiDrivers = [ "/nix/store/0000-driver" ];
        ukiExtra = "/nix/store/0000-extra";
        secureBoot = {
          enrollKeys = "/keys";
          enrollName = "manual";
          shim = "/etc/shimx64.efi";
          mokManager = "/etc/mmx64.efi";
        };
      };

  testAPreambleIsAFile =
    writes
      [
        ''menu-preamble = "/nix/store/00000000000000000000000000000000-menu-preamble"''
        ''limine-config = "enrolled"''
      ]
      {
        bootloader = "limine";
        menuPreamble = "term_palette: 1";
        limine.enrollConfig = true;
      };

  testABoardHasAllDeviceTreesOrItsOwn = {
    expr =
      let
        settings =
          name:
          (installer {
            boot.loader.espBuilder.bootloader = "extlinux";
            hardware.deviceTree = {
              enable = true;
              inherit name;
            };
          }).boot.loader.espBuilder;
      in
      map
        (name: {
          directory = (settings name).settings ? device-tree-dir;
          own = (settings name).installDeviceTree;
        })
        [
          null
          "board.dtb"
        ];
    expected = [
      {
        directory = true;
        own = false;
      }
      {
        directory = false;
        own = true;
      }
    ];
  };

  # Which of the flags that the program says it has come from no option.
  testEveryFlagHasAnOption = {
    expr =
      let
        everything =
          bootloader:
          (installer {
            boot.loader = {
              efi.canTouchEfiVariables = false;
              espBuilder = {
                inherit bootloader;
                layout = "uki";
                bootCounting.enable = true;
                configurationLimit = 1;
                consoleMode = "max";
                efiDrivers = [ "/driver" ];
                extlinux.deviceTreeDir = "/dtbs";
                fit = true;
                graceful = true;
                grub.bootVolume = "ABCD-1234";
                limine.enrollConfig = true;
                loaderConf.beep = true;
                memtest86.enable = true;
                menuPreamble = "x";
                netbootxyz.enable = true;
                ukiExtra = "/extra";
                windows."11" = "HD0b";
                xbootldrMountPoint = "/xbootldr";
                secureBoot = keys // {
                  enrollKeys = "/keys";
                  enrollName = "manual";
                  mokManager = "/mm";
                  shim = "/shim";
                  signCommand = "sign";
                };
              };
            };
          }).boot.loader;
        reached =
          lib.concatMap
            (
              bootloader:
              let
                loader = everything bootloader;
              in
              lib.attrNames loader.espBuilder.settings
              ++ lib.concatMap (word: lib.toList (builtins.match "'?--([a-z-]+).*" word)) (
                lib.splitString " " loader.external.installHook.text
              )
            )
            [
              "systemd-boot"
              "grub"
              "limine"
            ];
      in
      lib.subtractLists reached (flagsOf "esp-builder install" ../../docs/reference/esp-builder.md);
    expected = [
      # For those who call it.
      "no-mount-check"
      "json"
      "dry-run"
      "quiet"
      # A system without secrets names none.
      "no-initrd-secrets"
      # `nixos-rebuild --install-bootloader` says so.
      "reinstall"
      "efivars"
      "help"
      # What boots is in the profiles of NixOS, and what is activated is the default.
      "bootspec"
      "generations"
      "profile"
      "kernel"
      "initrd"
      "cmdline"
      "title"
      "entry-name"
      "arch"
      "root"
      "default"
      "toplevel"
      # /etc/machine-id, and the day that a generation came to the machine.
      "machine-id"
      "date"
      # Of trees.
      "xbootldr"
      "by-reference"
      "digests"
    ];
  };

  testTextsAreQuotedAsInToml = writes [
    ''extra-file = ["EFI/\"x\"\\y=/nix/store/0000-x"]''
  ] { extraFiles."EFI/\"x\"\\y" = "/nix/store/0000-x"; };

  testTheMenuWaits = {
    expr = (installer { boot.loader.timeout = null; }).boot.loader.espBuilder.settings.timeout;
    expected = "menu-force";
  };

  testTheHookHasEveryPartition =
    calls
      [
        "--esp=/efi"
        "--esp=/efi2"
        "--boot=/boot"
        "--no-variables"
        "--random-seed=no"
        ''-- "$1"''
      ]
      {
        boot.loader.efi.efiSysMountPoint = "/efi";
        boot.loader.espBuilder = {
          mirrors = [ "/efi2" ];
          xbootldrMountPoint = "/boot";
          randomSeed = false;
        };
      };

  testTheHookQuotes =
    calls
      [
        "'--esp=/the esp'"
        "echo done"
      ]
      {
        boot.loader = {
          efi = {
            efiSysMountPoint = "/the esp";
            canTouchEfiVariables = true;
          };
          espBuilder.extraInstallCommands = "echo done";
        };
      };

  testAnImageSpeaksAsRepartDoes = {
    expr = describe {
      image.compose = {
        name = "server";
        sectorSize = 4096;
        compression.enable = true;
        partitions."20-root" = {
          storePaths = [ "/nix/store/0000-system" ];
          contents."/etc/file".source = "/nix/store/1111-file";
          repartConfig = {
            Type = "root";
            Format = "ext4";
            SizeMinBytes = "1G";
            Weight = "250";
            ReadOnly = "yes";
            ExcludeFiles = "/a /b";
            TPM2PCRs = "7+11";
          };
          settings.fat-type = "fat16";
        };
      };
    };
    expected = {
      image = {
        name = "server";
        architecture = "x86-64";
        engine = "embedded";
        format = "raw";
        minimum-sizes = "content";
        sector-size = 4096;
        size = "auto";
        compress = "zstd:3";
      };
      partition = [
        {
          type = "root";
          format = "ext4";
          size-min-bytes = "1G";
          weight = 250;
          read-only = true;
          exclude-files = [
            "/a"
            "/b"
          ];
          tpm2-pcrs = "7+11";
          fat-type = "fat16";
          copy-files = [ "/nix/store/1111-file:/etc/file" ];
          closure = "/nix/store/00000000000000000000000000000000-closure-info";
          nix-store-prefix = "/nix/store";
        }
      ];
    };
  };

  testASystemIsItsFirstGeneration = {
    expr =
      let
        partition =
          prefix:
          lib.head
            (describe (
              { config, ... }:
              {
                image.compose.partitions.root = {
                  system = config.system.build.toplevel;
                  nixStorePrefix = prefix;
                  repartConfig.Type = "root";
                };
              }
            )).partition;
      in
      map
        (prefix: {
          links = (partition prefix).make-symlinks;
          inherit (partition prefix) closure;
        })
        [
          "/nix/store"
          "/"
        ];
    expected =
      let
        system = "/nix/store/00000000000000000000000000000000-nixos-system";
        closure = "/nix/store/00000000000000000000000000000000-closure-info";
      in
      [
        {
          links = [
            "/nix/var/nix/profiles/system:system-1-link"
            "/nix/var/nix/profiles/system-1-link:${system}"
          ];
          inherit closure;
        }
        {
          links = [
            "/var/nix/profiles/system:system-1-link"
            "/var/nix/profiles/system-1-link:${system}"
          ];
          closure = "${closure}/store-paths";
        }
      ];
  };

  testAnEspComesWithoutKeys = {
    expr =
      let
        config = image {
          boot.loader.espBuilder.secureBoot = keys;
          boot.loader.espBuilder.xbootldrMountPoint = "/boot/extra";
          image.compose.esp.enable = true;
        };
      in
      {
        types =
          map (partition: partition.type)
            (builtins.fromJSON config.image.compose.description.text).partition;
        signs = lib.hasInfix "secure-boot" (toString (lib.attrNames config.image.compose.esp.settings));
        xbootldr = lib.hasInfix "--xbootldr" config.system.build.espTree.text;
      };
    expected = {
      types = [
        "esp"
        "xbootldr"
      ];
      signs = false;
      xbootldr = true;
    };
  };

  testFilesAreBesideTheImage = {
    expr =
      let
        config = image {
          imports = [ ../../nix/modules/image.nix ];
          image.compose = {
            name = "the server";
            split = true;
            sums = true;
            veritySignatures.abcd = "/nix/store/0000-p7s";
          };
        };
      in
      lib.filter (word: !lib.hasInfix word config.system.build.image.text) [
        "--split"
        "--sums"
        "'--verity-signature=abcd:/nix/store/0000-p7s'"
        "-o \"$out\"/'the server.raw'"
      ];
    expected = [ ];
  };

  testEveryFlagOfComposeHasAnOption = {
    expr =
      let
        config = image {
          imports = [
            ../../nix/modules/image.nix
            appliance
          ];
          image.compose = {
            compression.enable = true;
            seed = "0867da16-f251-457d-a9e8-c31f9a3c220b";
            veritySignatures.abcd = "/nix/store/0000-p7s";
          };
        };
        words = lib.concatMap (lib.splitString "\n") (
          lib.splitString " " (config.system.build.image.text + config.system.build.sysupdateTransfers.text)
        );
        reached =
          lib.attrNames config.image.compose.content.image
          ++ lib.concatMap (word: lib.toList (builtins.match "'?--([a-z-]+).*" word)) words;
      in
      lib.subtractLists reached (flagsOf "compose" ../../docs/reference/compose.md);
    expected = [
      # The description is all there is, and the output is new.
      "definitions"
      "empty"
      "output"
      # Programs come with the package.
      "repart"
      "tool"
      "backing"
      # A build sees no keys.
      "private-key"
      "certificate"
      # For those who call it.
      "dry-run"
      "digests"
      "sync"
      "generate"
      "manual"
      "help"
    ];
  };

  testTwoVersionsHaveRoom = {
    expr =
      let
        config = image appliance;
        described = builtins.fromJSON config.image.compose.description.text;
      in
      {
        said = messages config;
        partitions = map (
          partition:
          "${partition.type} ${partition.label or "-"} ${partition.format or "-"} ${partition.split-name}"
        ) described.partition;
        sizes = lib.unique (map (partition: partition.size-max-bytes or "-") described.partition);
        images = lib.filter (lib.hasInfix "/EFI/") (lib.head described.partition).copy-files;
        transfers = config.environment.etc."sysupdate.d".source;
        mounted = config.fileSystems."/nix/store".device;
      };
    expected = {
      said = "";
      partitions = [
        "esp ESP vfat -"
        "usr-verity app_7 - %t.%U"
        "usr app_7 erofs %t.%U"
        "usr-verity - empty -"
        "usr - empty -"
      ];
      sizes = [
        "-"
        "32M"
        "3G"
      ];
      images = [
        "/nix/store/00000000000000000000000000000000-systemd/lib/systemd/boot/efi/systemd-bootx64.efi:/EFI/BOOT/BOOTX64.EFI"
        "/nix/store/00000000000000000000000000000000-nixos.efi:/EFI/Linux/app_7.efi"
      ];
      transfers = "/nix/store/00000000000000000000000000000000-sysupdate.d/*";
      mounted = "/usr/nix/store";
    };
  };

  testAVersionIsKnownToTheMachine = {
    expr = messages (image {
      imports = [ appliance ];
      image.compose.version = "8";
    });
    expected = "image.compose.sysupdate needs system.image.version, by which a machine knows what it runs, and the same image.compose.version.";
  };

  testLabelsFitTheTable = {
    expr =
      map
        (
          label:
          messages (image {
            image.compose.partitions.root.repartConfig = {
              Type = "root";
              Label = label;
            };
          })
        )
        [
          "123456789012345678901234567890123456"
          "1234567890123456789012345678901234567"
          "ääääääääääääääääääääääääääääääääääää"
        ];
    expected = [
      ""
      "image.compose.partitions.root: the label `1234567890123456789012345678901234567` has 37 letters, and a partition table holds 36."
      ""
    ];
  };

  testAStoreIsWrittenOrChecked = {
    expr = messages (image {
      image.compose = {
        esp.enable = true;
        verityStore.enable = true;
      };
    });
    expected = "image.compose.esp boots from a store that can be written, image.compose.verityStore from one that is checked: enable one of them.";
  };

  testWhatIsMeasuredIsThere = {
    expr = messages (image {
      image.compose.esp.measure = true;
    });
    expected = "image.compose.esp.measure predicts what the kernels of image.compose.esp leave in a TPM: enable that.";
  };

  testSizesAreSizes = mistypes { image.compose.imageSize = "8 GB"; };

  testSectorsAreThoseOfDisks = mistypes { image.compose.sectorSize = 1024; };

  testTheStoreIsRegisteredWhereNixIs = {
    expr = map (enable: (image { nix.enable = enable; }).systemd.services ? register-composed-store) [
      true
      false
    ];
    expected = [
      true
      false
    ];
  };
}
