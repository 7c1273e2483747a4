use super::*;

/// A menu of three generations, the middle of which is the default and has a
/// specialisation, with texts that mean something to every language.
pub(crate) fn hostile() -> Menu {
    let id = |number, specialisation: Option<&str>| GenerationId {
        profile: None,
        number,
        specialisation: specialisation.map(str::to_owned),
    };
    let titles = [
        (
            id(1, None),
            "It's \"NixOS\" $root ${ARCH} `id` \\n /+{x} #1",
        ),
        (id(2, None), "NixOS"),
        (id(2, Some("a b")), "/NixOS: a, b = c"),
        (id(3, None), "}; reboot"),
    ];
    let items = titles.map(|(generation, title)| {
        let name = format!(
            "{}-{}",
            generation.number,
            generation.specialisation.is_some()
        );
        linux(&name, title, generation)
    });
    let mut items = items.to_vec();
    let text = "title Shell\nefi /EFI/shell/shell.efi\noptions -nomap \"fs0:x y\"\n";
    items.push(Item::of_text("shell", text).unwrap());
    Menu::arrange(items, 2, Timeout::Seconds(5), true)
}

fn linux(name: &str, title: &str, generation: GenerationId) -> Item {
    let file = |name: &str| TreePath::new(format!("EFI/nixos/{name}")).unwrap();
    Item {
        name: name.to_owned(),
        title: Line::new(title).unwrap(),
        starts: Starts::Linux {
            kernel: file("k-bzImage.efi"),
            initrds: vec![file("i-initrd.efi"), file("s-secrets.efi")],
            cmdline: CommandLine::new("init=/nix/store/s/init dyndbg=\"file a.c +p\" quiet")
                .unwrap(),
            devicetree: Some(file("d-board.dtb")),
        },
        generation: Some(generation),
        children: Vec::new(),
    }
}

#[test]
fn the_newest_is_first_and_specialisations_are_below() {
    let menu = hostile();
    let names: Vec<_> = menu.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["3-false", "2-false", "1-false", "shell"]);
    assert_eq!(menu.items[1].children[0].name, "2-true");
    let default = Position {
        item: 1,
        child: Some(0),
    };
    assert_eq!(menu.default, default);
    assert_eq!(menu.default_item().name, "2-true");
}

#[test]
fn profiles_stay_apart() {
    let of = |profile: Option<&str>, number, specialisation: Option<&str>| {
        let name = format!("{profile:?}{number}{specialisation:?}");
        let generation = GenerationId {
            profile: profile.map(str::to_owned),
            number,
            specialisation: specialisation.map(str::to_owned),
        };
        linux(&name, "NixOS", generation)
    };
    let items = vec![
        of(None, 1, None),
        of(None, 2, Some("orphan")),
        of(Some("work"), 1, None),
        of(Some("work"), 2, None),
    ];
    let menu = Menu::arrange(items, 0, Timeout::MenuForce, true);
    let names: Vec<_> = menu.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "None2Some(\"orphan\")",
            "None1None",
            "Some(\"work\")2None",
            "Some(\"work\")1None"
        ]
    );
    assert_eq!(menu.default.item, 1);
    assert_eq!(menu.seconds(), None);
}

#[test]
fn an_entry_of_any_kind_becomes_a_line() {
    let item = |text| Item::of_text("x", text);
    let uki = item("uki /EFI/Linux/a.efi\n").unwrap();
    assert_eq!(uki.title.as_str(), "x");
    assert_eq!(uki.load_options(), "");
    let profile = item("uki /EFI/Linux/a.efi\nprofile 2\n").unwrap();
    assert_eq!(profile.load_options(), "@2");
    let entry = bls::Type1Entry::parse("uki /EFI/Linux/a.efi\nprofile 2\n").unwrap();
    assert_eq!(Item::of_entry("x", None, &entry), profile);
    let kernel = item("title A\nversion 2\nlinux /k\ninitrd /i\noptions a\noptions b\n").unwrap();
    assert_eq!(kernel.title.as_str(), "A (2)");
    assert_eq!(kernel.load_options(), "initrd=\\i a b");
    assert_eq!(item("title A\nuki-url http://a/b\n"), None);
}

#[test]
fn what_is_written_is_shown_again_in_every_language() {
    let menu = hostile();
    let mut all: Vec<&Item> = Vec::new();
    for item in &menu.items {
        all.push(item);
        all.extend(&item.children);
    }
    let languages = [
        ("grub.cfg", Language::Grub(grub::Partition::OfKernel)),
        ("limine.conf", Language::Limine(limine::Digests::new())),
        ("refind.conf", Language::Refind),
        ("extlinux.conf", Language::Extlinux(None)),
    ];
    for (name, language) in languages {
        let mut lines = shown(name, &language.write(&menu));
        let default = lines.iter().filter(|line| line.is_default);
        let default: Vec<_> = default.map(|line| line.title.as_str()).collect();
        assert_eq!(default, [menu.default_item().title.as_str()], "{name}");
        let sort = |titles: &mut Vec<String>| titles.sort();
        let mut titles: Vec<_> = lines.iter().map(|line| line.title.clone()).collect();
        let is_shown = |item: &&&Item| name != "extlinux.conf" || item.name != "shell";
        let expected = all
            .iter()
            .filter(is_shown)
            .map(|item| item.title.to_string());
        let mut expected: Vec<_> = expected.collect();
        sort(&mut titles);
        sort(&mut expected);
        assert_eq!(titles, expected, "{name}");
        lines.retain(|line| line.title == "NixOS");
        let file = |name: &str| TreePath::new(format!("EFI/nixos/{name}")).unwrap();
        let files = &lines[0].files;
        assert!(files.contains(&file("k-bzImage.efi")), "{name}: {files:?}");
        assert!(files.contains(&file("i-initrd.efi")), "{name}: {files:?}");
    }
    assert_eq!(shown("loader.conf", "timeout 5\n"), []);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in r#"[ a-z/"'{}$\\\n]{0,80}"#) {
        let start = ["menuentry ", "chainloader", "/ ", "LABEL ", "options \""];
        for name in ["grub.cfg", "limine.conf", "refind.conf", "extlinux.conf"] {
            for start in start {
                let _ = shown(name, &format!("{start}{text}"));
                let _ = shown(name, &format!("menuentry 'x'\n{start}{text}"));
            }
        }
    }
}

#[test]
fn a_generation_that_is_left_out_takes_its_specialisations_along() {
    let menu = hostile();
    let is_second = |item: &Item| item.generation.as_ref().is_none_or(|id| id.number == 2);
    let rest = menu.of(&is_second).unwrap();
    let names: Vec<_> = rest.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["2-false", "shell"]);
    assert_eq!(rest.default_item().name, "2-true");
    assert_eq!(menu.of(&|_| false), None);
    let newest = menu.of(&|item| item.name == "3-false").unwrap();
    assert_eq!(newest.default_item().name, "3-false");
    let files: Vec<_> = rest.items[0].files().map(TreePath::name).collect();
    assert_eq!(
        files,
        [
            "k-bzImage.efi",
            "i-initrd.efi",
            "s-secrets.efi",
            "d-board.dtb"
        ]
    );
}
