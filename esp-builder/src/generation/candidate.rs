//! What may become a generation: named and numbered, not yet read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tree_manifest::GenerationId;

use super::{Generation, describe};
use crate::document::{self, Document};
use crate::error::{Error, is_absent};
use crate::generation_list;
use crate::profile;
use crate::settings::{Date, GenerationInput, NumberedPath};
use crate::source::Sources;
use crate::warning::Warning;

/// What may become a generation.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its profile and number.
    pub(super) id: GenerationId,
    date: Option<Date>,
    /// Whether the day it was made stands in for a date.
    is_dated: bool,
    origin: Origin,
}

/// A document, and the day on which it came to this machine: when its inode last
/// changed. Nix sets all other times to one second after the epoch.
pub(super) type Read = (Document, Option<Date>);

/// Where a candidate's document is.
#[derive(Debug)]
enum Origin {
    /// A document on the host.
    Host(PathBuf),
    /// A document inside the root.
    Inside(PathBuf),
    /// In the system that a profile's link leads to; a path inside the root.
    Link(PathBuf),
}

/// Everything that may become a generation.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// By profile and number, which are unique.
    pub(super) sorted: BTreeMap<GenerationId, Candidate>,
    /// The default of the generation list.
    pub(super) default: Option<GenerationId>,
    /// What was searched; paths of the host.
    pub(super) searched: Vec<PathBuf>,
    /// What is odd about it.
    pub(super) warnings: Vec<Warning>,
}

impl Candidates {
    /// Looks at documents' names, lists and profiles; documents are not opened.
    pub(super) fn find(input: &GenerationInput, sources: &Sources) -> Result<Self, Error> {
        let mut found = Self::default();
        found.add_bootspecs(&input.bootspecs, sources)?;
        if let Some(list) = &input.list {
            found.add_list(list, sources)?;
        }
        found.add_profiles(input, sources)?;
        Ok(found)
    }

    /// Documents without a number get the one after the last.
    fn add_bootspecs(&mut self, paths: &[NumberedPath], sources: &Sources) -> Result<(), Error> {
        let mut previous = 0_u64;
        for NumberedPath { number, path } in paths {
            previous = match number {
                Some(number) => *number,
                None => previous
                    .checked_add(1)
                    .ok_or_else(|| Error::NumberTooLarge(path.clone()))?,
            };
            let candidate = Candidate {
                id: generation(None, previous),
                date: None,
                is_dated: false,
                origin: Origin::Host(path.clone()),
            };
            self.add(candidate, sources)?;
        }
        Ok(())
    }

    fn add_list(&mut self, path: &Path, sources: &Sources) -> Result<(), Error> {
        let list = generation_list::load(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        for listed in list.generations {
            // As in every document, an absolute path is one inside the root.
            let origin = if listed.bootspec.is_absolute() {
                Origin::Inside(listed.bootspec)
            } else {
                Origin::Host(directory.join(listed.bootspec))
            };
            let candidate = Candidate {
                id: listed.id,
                date: listed.date,
                is_dated: false,
                origin,
            };
            self.add(candidate, sources)?;
        }
        self.default = list.default;
        self.searched.push(path.into());
        Ok(())
    }

    fn add_profiles(&mut self, input: &GenerationInput, sources: &Sources) -> Result<(), Error> {
        let mut known = Vec::new();
        for path in &input.profiles {
            for (index, profile) in profile::find(path, sources)?.into_iter().enumerate() {
                // One may be named that came with the system's.
                if known.contains(&profile) {
                    continue;
                }
                let on_host = sources.on_host(&profile.path);
                if index == 0 && profile.numbers.is_empty() {
                    let path = on_host.display().to_string();
                    self.warnings.push(Warning::EmptyProfile { path });
                }
                self.searched.push(on_host);
                for &number in &profile.numbers {
                    let candidate = Candidate {
                        id: generation(profile.name.clone(), number),
                        date: None,
                        is_dated: input.dates,
                        origin: Origin::Link(profile.link(number)),
                    };
                    self.add(candidate, sources)?;
                }
                known.push(profile);
            }
        }
        Ok(())
    }

    fn add(&mut self, candidate: Candidate, sources: &Sources) -> Result<(), Error> {
        match self.sorted.entry(candidate.id.clone()) {
            Entry::Vacant(place) => {
                place.insert(candidate);
                Ok(())
            }
            Entry::Occupied(first) => Err(Error::DuplicateGeneration {
                whose: describe(&candidate.id),
                first: first.get().origin(sources),
                second: candidate.origin(sources),
            }),
        }
    }
}

impl Candidate {
    /// Reads the document. A link that leads to no system is a warning: who keeps
    /// a profile cannot always delete from it. What is there must be right.
    pub(super) fn read(
        &self,
        sources: &Sources,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<Read>, Error> {
        let link = match &self.origin {
            Origin::Host(path) => return Ok(Some((document::load(path)?, None))),
            Origin::Inside(path) => return Ok(Some((read_inside(path, sources)?, None))),
            Origin::Link(link) => link,
        };
        // Most lead to a document with nothing wrong; of others more must be found out.
        let opened = sources.open(&link.join("boot.json")).ok();
        let loaded = opened.and_then(|(file, metadata)| {
            let date = Date::of_unix(metadata.ctime());
            Some((document::load_open(file, &metadata)?, date))
        });
        if loaded.is_some() {
            return Ok(loaded);
        }
        let read = match sources.resolve(link) {
            Ok(system) => self.read_system(&system, sources)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err("leads nowhere".to_owned())
            }
            Err(error) => Err(format!("cannot be followed: {error}")),
        };
        if let Err(reason) = &read {
            warnings.push(Warning::Skipped {
                whose: describe(&self.id),
                link: sources.on_host(link).display().to_string(),
                reason: reason.clone(),
            });
        }
        Ok(read.ok())
    }

    /// The document of a system's directory, or why there is none.
    fn read_system(&self, system: &Path, sources: &Sources) -> Result<Result<Read, String>, Error> {
        let path = system.join("boot.json");
        match sources.locate_in(system, "boot.json") {
            Ok(located) => document::load(&located.host)
                .map(|document| Ok((document, Date::of_unix(located.changed))))
                .map_err(|error| self.refused(error)),
            Err(error) if is_absent(&error) && sources.is_relocated() => Ok(Err(
                "has no boot.json, and below a root none can be made".to_owned(),
            )),
            Err(error) if is_absent(&error) => {
                let document = document::synthesize(system).map_err(|refusal| {
                    let reason = refusal.reason;
                    format!("has no boot.json, and none can be made: {reason}")
                });
                Ok(document.map(|document| (document, None)))
            }
            Err(source) => Err(Error::Document {
                path: sources.on_host(&path),
                source,
            }),
        }
    }

    /// A refusal that says which generation it is about.
    fn refused(&self, error: Error) -> Error {
        match error {
            Error::Bootspec { path, refusal } => Error::ProfileBootspec {
                whose: describe(&self.id),
                path,
                refusal,
            },
            other => other,
        }
    }

    /// The generation and its specialisations.
    pub(super) fn generations(
        &self,
        (document, made): Read,
        sources: &Sources,
    ) -> impl Iterator<Item = Generation> {
        let origin = self.origin(sources);
        let date = self.date.clone().or(made.filter(|_| self.is_dated));
        let specialisations = document.specialisations.into_iter();
        let named = specialisations.map(|(name, system)| (Some(name), system));
        let systems = std::iter::once((None, document.system)).chain(named);
        systems.map(move |(specialisation, system)| Generation {
            id: GenerationId {
                specialisation,
                ..self.id.clone()
            },
            system,
            origin: origin.clone(),
            date: date.clone(),
        })
    }

    fn origin(&self, sources: &Sources) -> PathBuf {
        match &self.origin {
            Origin::Host(path) => path.clone(),
            Origin::Inside(path) | Origin::Link(path) => sources.on_host(path),
        }
    }
}

fn read_inside(path: &Path, sources: &Sources) -> Result<Document, Error> {
    let located = sources.locate(path).map_err(|source| Error::Document {
        path: sources.on_host(path),
        source,
    })?;
    document::load(&located.host)
}

fn generation(profile: Option<String>, number: u64) -> GenerationId {
    GenerationId {
        profile,
        number,
        specialisation: None,
    }
}
