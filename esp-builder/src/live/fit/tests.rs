use super::*;
use std::path::PathBuf;

use tree_manifest::{Provenance, Role};

use crate::plan::{PlannedFile, Recipe};

fn id(profile: Option<&str>, number: u64) -> GenerationId {
    GenerationId {
        profile: profile.map(str::to_owned),
        number,
        specialisation: None,
    }
}

/// A plan of an entry and a kernel for each generation, and a kernel for all of them.
fn plan(ids: &[GenerationId]) -> TreePlan {
    let mut plan = TreePlan::default();
    let tree = plan.trees.entry(Role::esp()).or_default();
    let mut add = |path: String, kind, generations: &[GenerationId]| {
        let recipe = Recipe::Copy {
            from: PathBuf::from("/source"),
            size: 1,
        };
        let provenance = Provenance {
            kind,
            generations: generations.to_vec(),
            signature: None,
        };
        let path = TreePath::new(path).unwrap();
        tree.insert(path, PlannedFile { recipe, provenance });
    };
    add("EFI/loader.efi".to_owned(), Kind::Loader, &[]);
    add("EFI/shared.efi".to_owned(), Kind::Kernel, ids);
    for id in ids {
        let name = bootloaders::entry_name(id);
        let mut special = id.clone();
        special.specialisation = Some("x".to_owned());
        add(
            format!("EFI/{name}.efi"),
            Kind::Kernel,
            &[id.clone(), special],
        );
        add(
            format!("loader/entries/{name}+3-0.conf"),
            Kind::Entry,
            std::slice::from_ref(id),
        );
    }
    plan
}

#[test]
fn the_oldest_of_the_profile_with_most_left_goes_first() {
    let (system, work) = (|number| id(None, number), |number| id(Some("work"), number));
    let ids = [system(3), system(10), system(11), work(1), work(2)];
    let order = oldest_first(&plan(&ids), &[system(11)].into());
    assert_eq!(order, [system(3), work(1), system(10), work(2)]);
}

#[test]
fn what_others_need_and_what_all_need_stays() {
    let plan = plan(&[id(None, 1), id(None, 2)]);
    let rest = without(&plan, &[&id(None, 1)].into());
    let paths: Vec<_> = rest.trees[&Role::esp()]
        .keys()
        .map(TreePath::as_str)
        .collect();
    let expected = [
        "EFI/loader.efi",
        "EFI/nixos-generation-2.efi",
        "EFI/shared.efi",
        "loader/entries/nixos-generation-2+3-0.conf",
    ];
    assert_eq!(paths, expected);
    assert_eq!(without(&plan, &BTreeSet::new()).trees, plan.trees);
}

#[test]
fn an_entry_is_known_whatever_its_counter_and_case() {
    let plan = plan(&[id(None, 1), id(None, 2)]);
    let path = TreePath::new("LOADER/entries/NIXOS-generation-1+1-2.conf").unwrap();
    let places = BTreeSet::from([(Role::esp(), path)]);
    let found = generations_of(&plan, &entry_ids(places.iter()));
    assert_eq!(found, [id(None, 1)].into());
}
