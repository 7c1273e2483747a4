//! Which of the generations starts by itself.

use std::path::{Path, PathBuf};

use tree_manifest::GenerationId;

use super::Generation;
use crate::settings::DefaultChoice;
use crate::source::Sources;

/// What is known of the default before it is found.
#[derive(Debug)]
pub(super) enum Wanted<'a> {
    /// The newest generation of the first profile, which is that of the system
    /// when there is one.
    Newest,
    /// This one.
    Generation(&'a GenerationId),
    /// The last one whose `init` is in this directory; paths inside the root.
    Toplevel {
        given: PathBuf,
        /// Without symbolic links, when it leads somewhere.
        resolved: Option<PathBuf>,
    },
}

impl<'a> Wanted<'a> {
    pub(super) fn new(choice: Option<&'a DefaultChoice>, sources: &Sources) -> Self {
        match choice {
            None => Self::Newest,
            Some(DefaultChoice::Generation(id)) => Self::Generation(id),
            Some(DefaultChoice::Toplevel(path)) => {
                let given = sources.inside(path);
                let resolved = sources.resolve(&given).ok();
                Self::Toplevel { given, resolved }
            }
        }
    }

    /// Whether a generation or one of its specialisations may be meant.
    pub(super) fn may_be(&self, generation: &GenerationId) -> bool {
        match self {
            Self::Newest => false,
            Self::Generation(id) => {
                id.number == generation.number && id.profile == generation.profile
            }
            Self::Toplevel { .. } => true,
        }
    }

    /// Where it is among sorted generations.
    pub(super) fn position(&self, generations: &[Generation], sources: &Sources) -> Option<usize> {
        let first = generations.first().map(|generation| &generation.id.profile);
        generations.iter().rposition(|generation| match self {
            Self::Newest => {
                generation.id.specialisation.is_none() && Some(&generation.id.profile) == first
            }
            Self::Generation(id) => generation.id == **id,
            Self::Toplevel { given, resolved } => {
                let directory = generation.system.init.parent().unwrap_or(Path::new("/"));
                directory == given
                    || resolved.as_ref().is_some_and(|resolved| {
                        directory == resolved
                            || sources
                                .resolve(directory)
                                .is_ok_and(|path| path == *resolved)
                    })
            }
        })
    }
}
