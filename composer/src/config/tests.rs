use super::*;

fn parse(text: &str) -> Result<ImageConfig, Error> {
    let path = Path::new("image.toml");
    ImageConfig::parse(text, path)?.settle(path)
}

/// A GUID that two partitions are given.
const TWIN: &str = "8f1c0a52-6a0a-4a0b-9f0e-0d6b4a8f3a11";

#[test]
fn the_published_schema_is_current() {
    let published = include_str!("../../schema/image-v1.schema.json");
    assert!(
        schema() == published,
        "the description's types and its published schema differ; if the change is meant, run\n  \
         cargo run -p composer -- --generate schema > composer/schema/image-v1.schema.json"
    );
}

#[test]
fn toml_and_json_say_the_same() {
    let toml = parse("[image]\nsize = \"64M\"\n[[partition]]\ntype = \"esp\"\nformat = \"vfat\"\n");
    let json = r#"{"image":{"size":67108864},"partition":[{"type":"esp","format":"vfat"}]}"#;
    let path = Path::new("image.json");
    let json = ImageConfig::parse(json, path).and_then(|json| json.settle(path));
    assert_eq!(
        format!("{:?}", toml.unwrap()),
        format!("{:?}", json.unwrap())
    );
}

#[test]
fn bad_descriptions_are_refused_with_place_and_reason() {
    let partition = |keys: &str| format!("[[partition]]\ntype = \"esp\"\n{keys}\n");
    let cases = [
        String::new(),
        "partition = 1".to_owned(),
        "[image]\nsise = 1\n".to_owned() + &partition(""),
        "[image]\nsize = \"big\"\n".to_owned() + &partition(""),
        "[image]\nsector-size = 520\n".to_owned() + &partition(""),
        "[image]\nengine = \"magic\"\n".to_owned() + &partition(""),
        "[image]\nseed = \"1\"\n".to_owned() + &partition(""),
        "[image]\nname = \"../up\"\n".to_owned() + &partition(""),
        "[[partition]]\nformat = \"vfat\"\n".to_owned(),
        "[[partition]]\ntype = \"ESP\"\n".to_owned(),
        partition("label = \"a label that is longer than thirty-six\""),
        partition("label = \"cut\\u0000off\""),
        partition("format = \"empty\"\ntree = \"out\""),
        partition("format = \"vfat\"\nmake-symlinks = [\"/a:b\"]"),
        partition("format = \"erofs\""),
        partition("format = \"vfat\"\ncompression = \"zstd\""),
        partition("format = \"vfat\"\nminimize = \"best\""),
        partition("minimize = \"guess\""),
        partition("subvolumes = [\"/a\"]"),
        partition("format = \"btrfs\"\nsubvolumes = [\"/a:rw\"]"),
        partition("format = \"btrfs\"\nsubvolumes = [\"/a:ro\"]\ndefault-subvolume = \"/b\""),
        partition("verity = \"hash\""),
        partition("verity = \"hash\"\nverity-match-key = \"x\"\ncopy-files = [\"a\"]"),
        partition("integrity = \"inline\""),
        partition("weight = 1000001"),
        partition("padding-min-bytes = 2\npadding-max-bytes = 1"),
        partition("verity-data-block-size-bytes = 1000"),
        partition("type = \"usr-pdp11\"").replace("type = \"esp\"\n", ""),
        "[image]\narchitecture = \"pdp11\"\n".to_owned() + &partition(""),
        partition("format = \"vfat\"\ncopy-blocks = \"x\""),
        partition("fat-type = \"fat32\""),
        partition("format = \"vfat\"\ncluster-size = 3000"),
        partition("size-min-bytes = \"2M\"\nsize-max-bytes = \"1M\""),
        partition(&format!("uuid = \"{TWIN}\"")) + &partition(&format!("uuid = \"{TWIN}\"")),
        partition("encrypt = \"key-file\""),
        partition("copy-blocks = \"auto\""),
        partition("copy-files = [\"a:/b:fsverity=copy\"]"),
        partition("copy-files = [\"a:/b:fsverity=maybe\"]"),
        partition("format = \"btrfs\"\nminimize = \"best\""),
        "[image]\nengine = \"repart\"\n".to_owned()
            + &partition("format = \"vfat\"\nfat-type = \"fat32\""),
        "[image]\nengine = \"repart\"\n".to_owned()
            + &partition("format = \"vfat\"\nvolume-label = \"X\""),
    ];
    let errors = cases.map(|text| parse(&text).unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn what_is_not_said_follows_from_the_rest() {
    let text = "[image]\narchitecture = \"arm64\"\nengine = \"repart\"\n\
        [[partition]]\ntype = \"root\"\ntree = \"x\"\n\
        [[partition]]\ntype = \"xbootldr\"\ncopy-files = [\"x\"]\n\
        [[partition]]\ntype = \"swap\"\n\
        [[partition]]\ntype = \"home\"\nformat = \"empty\"\n\
        [[partition]]\ntype = \"linux-generic\"\nformat = \"empty\"\nlabel = \"x\"\n\
        [[partition]]\ntype = \"01234567-89ab-cdef-0123-456789abcdef\"\nencrypt = \"tpm2\"\n";
    let config = parse(text).unwrap();
    let settled = config.partitions.iter().map(|partition| {
        let format = partition.format.map(FileSystem::name);
        (partition.label(), format, partition.attributes() >> 56)
    });
    let expected = [
        ("root-arm64", Some("ext4"), 8),
        ("xbootldr", Some("vfat"), 8),
        ("swap", Some("swap"), 0),
        ("_empty", None, 0x88),
        ("x", None, 0),
        ("linux", Some("ext4"), 0),
    ];
    assert_eq!(settled.collect::<Vec<_>>(), expected);
}

#[test]
fn slips_in_json_are_told_like_those_in_toml() {
    let text = "{\"partition\":[{\"type\":\"esp\",\n\"fromat\":\"vfat\"}]}";
    let error = ImageConfig::parse(text, Path::new("image.json")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`image.json`: line 2: unknown field `fromat`; did you mean `format`?"
    );
}

#[test]
fn what_systemd_repart_can_do_is_left_to_it() {
    let keys = "copy-files = [\"a:/b:fsverity=copy\"]\nminimize = \"best\"\n";
    let text = format!("[[partition]]\ntype = \"home\"\nformat = \"btrfs\"\n{keys}");
    assert!(parse(&text).is_err());
    let engine = "[image]\nengine = \"repart\"\n";
    let partition = &parse(&format!("{engine}{text}")).unwrap().partitions[0];
    assert_eq!(partition.copy_files, ["a:/b:fsverity=copy"]);
    let text = text.replace("fsverity=copy", "fsverity=off,fsverity=off");
    let partition = &parse(&format!("{engine}{text}")).unwrap().partitions[0];
    assert_eq!(partition.copy_files, ["a:/b"]);
}

#[test]
fn attribute_keys_set_their_bits() {
    let text = "[[partition]]\ntype = \"esp\"\nflags = 1\nno-auto = true\nread-only = true\n";
    let config = parse(text).unwrap();
    assert_eq!(config.partitions[0].attributes(), 1 | 1 << 63 | 1 << 60);
}
