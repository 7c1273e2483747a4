//! Generations: systems with a number, sorted and unique.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bootloaders::BootEntry;
use tree_manifest::GenerationId;

use crate::document::{self, Document, System};
use crate::error::Error;
use crate::settings::{DefaultChoice, NumberedPath};
use crate::warning::Warning;

/// One bootable system: a generation or a specialisation of one.
///
/// The number is not in the bootspec document; it comes with the document's path.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Its number and specialisation.
    pub id: GenerationId,
    /// What the document says of it.
    pub system: System,
    /// The document.
    pub origin: PathBuf,
}

/// Generations, oldest first, each followed by its specialisations by name. There
/// is at least one.
#[derive(Debug)]
pub struct GenerationSet(Vec<Generation>);

impl GenerationSet {
    /// Reads documents; those without a number get the one after the last.
    ///
    /// # Errors
    /// When a document is refused, when two have one number, or when there is
    /// none.
    pub fn load(documents: &[NumberedPath]) -> Result<Self, Error> {
        let mut numbered = Vec::with_capacity(documents.len());
        let mut previous = 0_u64;
        for NumberedPath { number, path } in documents {
            previous = match number {
                Some(number) => *number,
                None => previous
                    .checked_add(1)
                    .ok_or_else(|| Error::NumberTooLarge(path.clone()))?,
            };
            numbered.push((previous, path.clone(), document::load(path)?));
        }
        Self::new(numbered)
    }

    /// Sorts documents with their numbers and origins into a set.
    ///
    /// # Errors
    /// When two documents have one number, or when there is none.
    pub fn new(documents: Vec<(u64, PathBuf, Document)>) -> Result<Self, Error> {
        let mut generations = BTreeMap::new();
        let mut origins: BTreeMap<u64, PathBuf> = BTreeMap::new();
        for (number, origin, document) in documents {
            if let Some(first) = origins.insert(number, origin.clone()) {
                return Err(Error::DuplicateGeneration {
                    number,
                    first,
                    second: origin,
                });
            }
            let specialisations = document.specialisations.into_iter();
            let named = specialisations.map(|(name, system)| (Some(name), system));
            for (specialisation, system) in std::iter::once((None, document.system)).chain(named) {
                let id = GenerationId {
                    profile: None,
                    number,
                    specialisation,
                };
                let generation = Generation {
                    id: id.clone(),
                    system,
                    origin: origin.clone(),
                };
                generations.insert(id, generation);
            }
        }
        if generations.is_empty() {
            return Err(Error::NoGenerations);
        }
        Ok(Self(generations.into_values().collect()))
    }

    /// The generations in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Generation] {
        &self.0
    }

    /// The position of the chosen system, or of the newest generation.
    ///
    /// # Errors
    /// When the choice is not in the set.
    pub fn default_index(&self, choice: Option<&DefaultChoice>) -> Result<usize, Error> {
        let found = match choice {
            Some(choice) => self.0.iter().position(|generation| {
                generation.id.number == choice.number
                    && generation.id.specialisation == choice.specialisation
            }),
            None => self
                .0
                .iter()
                .rposition(|generation| generation.id.specialisation.is_none()),
        };
        found.ok_or_else(|| Error::NoSuchDefault {
            wanted: choice.map(ToString::to_string).unwrap_or_default(),
            known: self
                .0
                .iter()
                .map(|generation| choice_of(&generation.id))
                .collect(),
        })
    }

    /// What the documents ask for and a tree cannot give.
    pub fn warnings(&self) -> impl Iterator<Item = Warning> {
        self.0.iter().flat_map(|generation| {
            let whose = || describe(&generation.id);
            let secrets = generation.system.has_initrd_secrets;
            let nested = generation.system.has_nested_specialisations;
            [
                secrets.then(|| Warning::InitrdSecrets { whose: whose() }),
                nested.then(|| Warning::NestedSpecialisations { whose: whose() }),
            ]
            .into_iter()
            .flatten()
        })
    }
}

/// A generation as messages name it.
#[must_use]
pub fn describe(id: &GenerationId) -> String {
    let optional = |text: &Option<String>, before, after| match text {
        Some(text) => format!("{before}{}{after}", text.escape_debug()),
        None => String::new(),
    };
    let profile = optional(&id.profile, "profile `", "`, ");
    let specialisation = optional(&id.specialisation, " (`", "`)");
    format!("{profile}generation {}{specialisation}", id.number)
}

/// An entry as messages name it.
#[must_use]
pub fn describe_entry(entry: &BootEntry) -> String {
    entry
        .generation()
        .map_or_else(|| format!("`{}`", entry.title), describe)
}

fn choice_of(id: &GenerationId) -> String {
    let choice = DefaultChoice {
        number: id.number,
        specialisation: id.specialisation.clone(),
    };
    choice.to_string()
}
