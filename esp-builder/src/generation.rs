//! Generations: systems with a number, sorted and unique.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bootloaders::BootEntry;
use tree_manifest::GenerationId;

use crate::document::System;
use crate::error::Error;
use crate::settings::{Date, DefaultChoice, GenerationInput};
use crate::source::Sources;
use crate::warning::Warning;

mod candidate;
mod wanted;

use candidate::{Candidate, Candidates};
use wanted::Wanted;

/// One bootable system: a generation or a specialisation of one.
///
/// Its profile, number and day are not in the bootspec document; they come with
/// the document's path.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Its profile, number and specialisation.
    pub id: GenerationId,
    /// What the document says of it.
    pub system: System,
    /// The document, or the link of the profile; a path of the host.
    pub origin: PathBuf,
    /// The day it was built, when somebody said so.
    pub date: Option<Date>,
}

/// Generations by profile, that of the system first; in a profile the oldest first,
/// each followed by its specialisations by name. There is at least one.
#[derive(Debug)]
pub struct GenerationSet(Vec<Generation>);

/// Generations, and what was found out with them.
#[derive(Debug)]
pub struct Loaded {
    /// The generations.
    pub generations: GenerationSet,
    /// The position of the one that starts by itself.
    pub default: usize,
    /// What was passed over, and what documents ask for that a tree cannot give.
    pub warnings: Vec<Warning>,
}

impl GenerationSet {
    /// Finds generations, reads the newest of each profile up to the limit, and the
    /// default even when it is beyond.
    ///
    /// What a limit leaves out is not read, unless the default is searched there.
    ///
    /// # Errors
    /// When something cannot be read or is refused, when two generations have one
    /// number, when there is none, or when none is the chosen default:
    /// [`Error::NoSuchDefault`], or [`Error::NoSuchToplevel`] for a toplevel.
    pub fn load(
        input: &GenerationInput,
        default: Option<&DefaultChoice>,
        sources: &Sources,
    ) -> Result<Loaded, Error> {
        let found = Candidates::find(input, sources)?;
        let listed = found.default.map(DefaultChoice::Generation);
        let choice = default.or(listed.as_ref());
        let wanted = Wanted::new(choice, sources);
        let mut skipped = Vec::new();
        let mut generations = Vec::new();
        let mut beyond = Vec::new();
        let mut counts = BTreeMap::new();
        for candidate in found.sorted.into_values().rev() {
            let count = counts.entry(candidate.id.profile.clone()).or_insert(0);
            if input.limit.is_some_and(|limit| *count == limit.get()) {
                beyond.push(candidate);
            } else if let Some(document) = candidate.read(sources, &mut skipped)? {
                *count += 1;
                generations.extend(candidate.generations(document, sources));
            }
        }
        if generations.is_empty() {
            let searched = found.searched;
            return Err(Error::NoGenerations { searched });
        }
        generations.sort_unstable_by(|first, second| first.id.cmp(&second.id));
        let mut set = Self(generations);
        let mut default = wanted.position(&set.0, sources);
        if default.is_none() {
            default = set.add_wanted(&wanted, &beyond, sources, &mut skipped)?;
        }
        let default = default.ok_or_else(|| set.no_such_default(choice))?;
        skipped.reverse();
        let mut warnings = found.warnings;
        warnings.extend(skipped);
        warnings.extend(set.warnings());
        Ok(Loaded {
            generations: set,
            default,
            warnings,
        })
    }

    /// The generations in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Generation] {
        &self.0
    }

    /// Reads candidates until one is wanted, adds that one, and says where it is.
    fn add_wanted(
        &mut self,
        wanted: &Wanted<'_>,
        candidates: &[Candidate],
        sources: &Sources,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<usize>, Error> {
        for candidate in candidates.iter().filter(|one| wanted.may_be(&one.id)) {
            let Some(document) = candidate.read(sources, warnings)? else {
                continue;
            };
            let generations: Vec<_> = candidate.generations(document, sources).collect();
            let Some(inner) = wanted.position(&generations, sources) else {
                continue;
            };
            let whose = describe(&candidate.id);
            warnings.push(Warning::BeyondLimit { whose });
            let at = self.0.partition_point(|known| known.id < candidate.id);
            self.0.splice(at..at, generations);
            return Ok(Some(at + inner));
        }
        Ok(None)
    }

    fn no_such_default(&self, choice: Option<&DefaultChoice>) -> Error {
        /// As many as a person reads.
        const SHOWN: usize = 20;
        if let Some(DefaultChoice::Toplevel(toplevel)) = choice {
            return Error::NoSuchToplevel(toplevel.clone());
        }
        let left_out = self.0.len().saturating_sub(SHOWN);
        let known = self.0[left_out..].iter();
        let known = known.map(|one| DefaultChoice::Generation(one.id.clone()).to_string());
        let more = (left_out > 0).then(|| "…".to_owned());
        Error::NoSuchDefault {
            wanted: choice.map(ToString::to_string).unwrap_or_default(),
            known: more.into_iter().chain(known).collect(),
        }
    }

    /// What the documents ask for and a tree cannot give.
    fn warnings(&self) -> impl Iterator<Item = Warning> {
        self.0.iter().flat_map(|generation| {
            let whose = || describe(&generation.id);
            let xen = generation.system.xen.as_ref();
            let nested = generation.system.has_nested_specialisations;
            let plain = xen.is_some_and(|xen| xen.efi.is_none());
            [
                nested.then(|| Warning::NestedSpecialisations { whose: whose() }),
                plain.then(|| Warning::Xen { whose: whose() }),
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

/// A generation with all its specialisations.
pub(crate) fn whole(id: &GenerationId) -> GenerationId {
    GenerationId {
        specialisation: None,
        ..id.clone()
    }
}

#[cfg(test)]
mod tests;
