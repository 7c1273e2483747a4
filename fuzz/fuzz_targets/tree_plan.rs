//! Random systems, with hostile labels, parameters and names, as trees for every boot
//! loader: refused, or a plan that FAT can hold, whose entries name files of it, and in
//! which no value makes a line of its own.
#![no_main]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use bootloaders::bls::{Starts, Type1Entry};
use bootloaders::{BootLoader, systemd_boot};
use esp_builder::plan::{Recipe, TreePlan};
use esp_builder::settings::{
    GenerationInput, ImageInput, Input, Layout, LoaderInput, NumberedPath, Settings,
};
use fuzz::name::Name;
use integration_tests::{Machine, TinyPe};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tree_manifest::fat;

#[derive(Debug, Arbitrary)]
struct Wish {
    systems: Vec<System>,
    xbootldr: bool,
    images: bool,
    loader: u8,
    title: Option<String>,
}

#[derive(Debug, Arbitrary)]
struct System {
    number: u64,
    label: String,
    kernel: u8,
    initrd: Option<u8>,
    parameters: Vec<String>,
    sort_key: Option<String>,
    extra_initrds: Vec<Name>,
    devicetree: bool,
    specialisations: Vec<(Name, Vec<String>)>,
}

/// Kernels and initrds of the store, by number.
const KERNELS: [&str; 3] = ["k1-linux/bzImage", "k2-linux/bzImage", "K1-LINUX/BZIMAGE"];
const INITRDS: [&str; 2] = ["i1-initrd/initrd", "i2-initrd/initrd"];
const LOADERS: [BootLoader; 4] = [
    BootLoader::SystemdBoot,
    BootLoader::Limine,
    BootLoader::Refind,
    BootLoader::Extlinux,
];

fuzz_target!(|wish: Wish| {
    let settings = settings(&wish);
    if let Ok(planned) = esp_builder::plan(&settings) {
        check(&planned.plan);
    }
});

fn check(plan: &TreePlan) {
    for (role, tree) in &plan.trees {
        let mut names = BTreeSet::new();
        for (path, file) in tree {
            for part in path.components() {
                assert_eq!(fat::check_name(part), Ok(()), "{role}/{path}");
            }
            assert!(names.insert(fat::fold(path.as_str())), "{role}/{path}");
            let Recipe::Text(text) = &file.recipe else {
                continue;
            };
            let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
            assert!(!text.contains(is_odd), "{path}: {text:?}");
            if systemd_boot::is_entry_path(path) {
                let entry = Type1Entry::parse(text).expect("our own entry");
                assert_eq!(entry.render(), *text);
                if let Starts::Linux { linux, .. } = &entry.starts {
                    assert!(tree.contains_key(linux), "{path}: {text}");
                }
            }
        }
    }
}

fn settings(wish: &Wish) -> Settings {
    let root = root();
    let documents = wish.systems.iter().take(4).enumerate();
    let bootspecs = documents.map(|(index, system)| {
        let path = root.join(format!("boot-{index}.json"));
        std::fs::write(&path, document(system).to_string()).expect("a file");
        NumberedPath {
            number: Some(system.number),
            path,
        }
    });
    let input = GenerationInput {
        bootspecs: bootspecs.collect(),
        ..GenerationInput::default()
    };
    let name = LOADERS[usize::from(wish.loader) % LOADERS.len()];
    let loader = root.join("nix/store/s1-systemd/loader.efi");
    let systemd_boot = root.join("nix/store/s1-systemd/systemd-boot.efi");
    let is_systemd = name == BootLoader::SystemdBoot;
    let mut settings = Settings {
        root: Some(root.clone()),
        boot_loader: LoaderInput {
            name,
            binaries: if is_systemd { Vec::new() } else { vec![loader] },
            ..LoaderInput::default()
        },
        systemd_boot: vec![systemd_boot],
        images: ImageInput {
            stubs: vec![root.join("nix/store/s1-systemd/stub.efi")],
            ..ImageInput::default()
        },
        layout: if wish.images && is_systemd {
            Layout::Uki
        } else {
            Layout::Type1
        },
        xbootldr: wish.xbootldr,
        ..Settings::new(Input::Generations(input))
    };
    if let Some(Ok(title)) = wish.title.as_ref().map(|title| title.parse()) {
        settings.distro_name = title;
    }
    settings
}

fn document(system: &System) -> Value {
    let path = |names: &[&str], number: u8| {
        let name = names[usize::from(number) % names.len()];
        format!("/nix/store/{name}")
    };
    let bootspec = |parameters: &[String]| {
        json!({
            "system": "x86_64-linux",
            "label": system.label,
            "toplevel": "/nix/store/t1-nixos",
            "init": "/nix/store/t1-nixos/init",
            "kernel": path(&KERNELS, system.kernel),
            "initrd": system.initrd.map(|number| path(&INITRDS, number)),
            "kernelParams": parameters,
        })
    };
    let specialisations = system.specialisations.iter().take(4);
    let specialisations = specialisations.map(|(name, parameters)| {
        let inner = json!({ "org.nixos.bootspec.v1": bootspec(parameters) });
        (name.0.clone(), inner)
    });
    let extra = system.extra_initrds.iter().map(|name| name.0.as_str());
    let mut document = json!({
        "org.nixos.bootspec.v1": bootspec(&system.parameters),
        "org.nixos.specialisation.v1": Value::Object(specialisations.collect()),
        "org.nixos.extra-initrd.v1": { "paths": extra.collect::<Vec<_>>() },
        "org.nixos.systemd-boot": {},
    });
    if let Some(key) = &system.sort_key {
        document["org.nixos.systemd-boot"]["sortKey"] = json!(key);
    }
    if system.devicetree {
        let tree = "/nix/store/d1-trees/board.dtb";
        document["org.nixos.systemd-boot"]["devicetree"] = json!(tree);
    }
    document
}

/// A store with what systems need.
fn root() -> &'static PathBuf {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root = fuzz::scratch().join("root");
        let write = |path: &str, bytes: Vec<u8>| {
            let path = root.join("nix/store").join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, bytes).expect("a file");
        };
        let pe = || TinyPe::new(Machine::X86_64, 700);
        for name in KERNELS {
            write(name, pe().bytes());
        }
        for name in INITRDS {
            write(name, name.into());
        }
        write("d1-trees/board.dtb", b"tree".to_vec());
        write("t1-nixos/init", Vec::new());
        let marker = "#### LoaderInfo: systemd-stub 260 ####\0";
        let sbat = "sbat,1,SBAT Version,sbat,1,https://example.org\n";
        let stub = pe().section(".sbat", sbat).section(".sdmagic", marker);
        write("s1-systemd/stub.efi", stub.bytes());
        let systemd_boot = TinyPe::systemd_boot(Machine::X86_64, "260");
        write("s1-systemd/systemd-boot.efi", systemd_boot.bytes());
        write("s1-systemd/loader.efi", pe().bytes());
        root
    })
}
