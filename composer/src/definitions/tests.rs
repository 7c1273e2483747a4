use std::fmt::Write;

use super::*;
use crate::config::{Engine, ImageConfig};

fn file(name: &str, text: &str) -> DefinitionFile {
    DefinitionFile {
        path: name.into(),
        text: text.to_owned(),
    }
}

fn read(text: &str) -> Result<PartitionConfig, Error> {
    let specifiers = Specifiers {
        name: Some("appliance".to_owned()),
        version: Some("7".to_owned()),
        architecture: None,
    };
    parse(&[file("a.conf", text)], &specifiers)
}

/// The keys that are set, as JSON.
fn keys(partition: &PartitionConfig) -> String {
    format!("{:#}", serde_json::to_value(partition).unwrap())
}

#[test]
fn every_key_is_read() {
    let text = "# A comment.\n\
        [Partition]\n\
        Type=root-arm64\n\
        Label=%M_%A 100%%\n\
        UUID=null\n\
        Priority=-3\nWeight=250\nPaddingWeight=0x10\n\
        SizeMinBytes=1.5G\nSizeMaxBytes=2G 512M\nPaddingMinBytes=4K\nPaddingMaxBytes=8192\n\
        FactoryReset=yes\nFormat=btrfs\n\
        CopyFiles=/a b:/c\nCopyFiles=/d\n\
        ExcludeFiles=/a/x '/a/with blank/'\nExcludeFilesTarget=/y\n\
        MakeDirectories=/one \\\n  ; a comment within\n  /two\n\
        MakeSymlinks=\"/etc/os-release:../usr/lib/os-release\"\n\
        Subvolumes=/home:nodatacow /snap:ro,nodatacow\nDefaultSubvolume=/home\n\
        Minimize=guess\nCompression=zstd\nCompressionLevel=19\n\
        FileSystemSectorSize=4K\nAddValidateFS=off\nVolumeLabel=\n\
        Encrypt=key-file+tpm2\nEncryptKDF=argon2id\nKeyFile=/key\nTPM2PCRs=7+11\n\
        Integrity=yes\nIntegrityAlgorithm=hmac-sha256\nDiscard=true\n\
        EncryptedVolume=root:none:discard\nVolumeName=root\nBlockDeviceReplace=/dev/x\n\
        Verity=data\nVerityMatchKey=root\n\
        VerityDataBlockSizeBytes=4K\nVerityHashBlockSizeBytes=512\n\
        Flags=0x1\nNoAuto=no\nReadOnly=1\nGrowFileSystem=n\n\
        SplitName=%M_%A.%t-%U%%\nMountPoint=/:rw,discard\nMountPoint=/var\nSupplementFor=esp\nX-Foreign=1\n\
        [X-Other]\nAnything=goes\n";
    let partition = read(text).unwrap();
    insta::assert_snapshot!(keys(&partition));
    // And none is missing here, or in the description.
    for key in keys::KEYS.iter().chain([&keys::SUPPLEMENT_FOR]) {
        let is_written = text.contains(&format!("\n{}=", key.name));
        assert!(is_written || key.name == "CopyBlocks", "{}", key.name);
    }
}

#[test]
fn an_empty_assignment_takes_back_what_was_assigned() {
    let text =
        "[Partition]\nType=home\nCopyFiles=/a\nWeight=7\nCopyFiles=\nCopyFiles=/b\nWeight=\n";
    let partition = read(text).unwrap();
    assert_eq!(partition.copy_files, ["/b"]);
    assert_eq!(partition.weight, None);
}

#[test]
fn drop_ins_add_and_replace() {
    let files = [
        file(
            "a.conf",
            "[Partition]\nType=home\nLabel=one\nMakeDirectories=/a\n",
        ),
        file("b.conf", "[Partition]\nLabel=two\nMakeDirectories=/b /a\n"),
    ];
    let partition = parse(&files, &Specifiers::default()).unwrap();
    assert_eq!(partition.label.as_deref(), Some("two"));
    assert_eq!(partition.make_directories, ["/a", "/b", "/a"]);
}

#[test]
fn bad_definitions_are_refused_with_place_and_reason() {
    let errors = [
        "",
        "Type=home\n",
        "[Partition\nType=home\n",
        "[Partition]\nType home\n",
        "[Install]\n",
        "[Partition]\nLabel=x\n",
        "[Partition]\nType=home\nSizeMin=4\n",
        "[Partition]\nType=home\nSizeMinBytes=much\n",
        "[Partition]\nType=home\nWeight=1.5\n",
        "[Partition]\nType=home\nWeight=-1\n",
        "[Partition]\nType=home\nReadOnly=maybe\n",
        "[Partition]\nType=home\nFormat=zfs\n",
        "[Partition]\nType=home\nLabel=%H\n",
        "[Partition]\nType=home\nLabel=%a\n",
        "[Partition]\nType=home\nLabel=100%\n",
        "[Partition]\nType=home\nUUID=1\n",
        "[Partition]\nType=home\nMakeDirectories='/a\n",
    ]
    .map(|text| read(text).unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn words_are_quoted_so_that_they_come_back() {
    for word in ["a", "a b", "", "it's", "say \"x\"", "back\\slash", "ü\tx"] {
        assert_eq!(ini::words(&ini::quote(word)).unwrap(), [word], "{word}");
    }
    assert_eq!(ini::words(" a  'b c'd \"e\" ").unwrap(), ["a", "b cd", "e"]);
}

#[test]
fn descriptions_become_definitions_that_say_the_same() {
    let text = r#"
        [[partition]]
        type = "esp"
        format = "vfat"
        copy-files = ["tree:/", "/abs 100%:/x"]
        exclude-files = ["tree/secret/"]
        make-directories = ["EFI/with blank"]
        no-auto = true
        [[partition]]
        type = "root-arm64"
        tree = "root"
        make-symlinks = ["/bin:usr/bin"]
        size-min-bytes = "1G"
        label = "50 %"
        [[partition]]
        name = "hash"
        type = "usr-verity"
        verity = "hash"
        verity-match-key = "usr"
        [[partition]]
        type = "usr"
        format = "erofs"
        copy-files = ["usr"]
        verity = "data"
        verity-match-key = "usr"
        compression = "zstd"
        supplement-for = "hash"
        "#;
    let path = Path::new("image.toml");
    let mut config = ImageConfig::parse(text, path).unwrap();
    config.image.engine = Engine::Repart;
    config.image.architecture = Some("x86-64".to_owned());
    let config = config.settle(path).unwrap();
    let rendered = render::render(&config, Path::new("/base")).unwrap();
    let mut all = String::new();
    for (definition, partition) in rendered.iter().zip(&config.partitions) {
        write!(all, "--- {}\n{}", definition.name, definition.text).unwrap();
        let again = parse(&[file("a", &definition.text)], &Specifiers::default()).unwrap();
        assert_eq!(again.attributes(), partition.attributes());
        assert_eq!(again.label, partition.label);
        assert_eq!(
            again.make_directories.len(),
            partition.make_directories.len()
        );
    }
    insta::assert_snapshot!(all);
}
