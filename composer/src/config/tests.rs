use super::*;

fn parse(text: &str) -> Result<ImageConfig, Error> {
    ImageConfig::parse(text, Path::new("image.toml"))
}

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
    let json = ImageConfig::parse(json, Path::new("image.json"));
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
        partition("tree = \"out\""),
        partition("format = \"vfat\"\ncopy-blocks = \"x\""),
        partition("fat-type = \"fat32\""),
        partition("format = \"vfat\"\ncluster-size = 3000"),
        partition("size-min-bytes = \"2M\"\nsize-max-bytes = \"1M\""),
        partition("format = \"ext4\""),
        partition("encrypt = \"key-file\""),
    ];
    let errors = cases.map(|text| parse(&text).unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn attribute_keys_set_their_bits() {
    let text = "[[partition]]\ntype = \"esp\"\nflags = 1\nno-auto = true\nread-only = true\n";
    let config = parse(text).unwrap();
    assert_eq!(config.partitions[0].attributes(), 1 | 1 << 63 | 1 << 60);
}
