//! Why nothing was built.

use std::io;
use std::path::PathBuf;

use tree_manifest::{ByteSize, GenerationId, Role, TreePath};

use crate::document::Refusal;
use crate::live::install::describe_room;
use crate::live::space::Use;

mod file;
mod hint;
mod loader;
mod signing;
mod wording;

pub(crate) use file::{read_error, write_error};
pub use loader::LoaderError;
pub use signing::SigningError;
pub(crate) use wording::is_absent;
use wording::{absence, found_nowhere, searched_places, way_out};

/// Why a tree could not be planned or built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A document could not be read.
    #[error("bootspec document `{}` {}", path.display(), absence(source))]
    Document {
        /// The document.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A document was read and refused.
    #[error("bootspec document `{}`: {refusal}", path.display())]
    Bootspec {
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The document of a generation in a profile was read and refused.
    #[error("{whose}: bootspec document `{}`: {refusal}", path.display())]
    ProfileBootspec {
        /// The generation, as a message names it.
        whose: String,
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// A generation list could not be read.
    #[error("generation list `{}` {}", path.display(), absence(source))]
    List {
        /// The list.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A generation list was read and refused.
    #[error("generation list `{}`: {refusal}", path.display())]
    ListRefused {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// A directory of profiles could not be read.
    #[error("directory of profiles `{}` {}", path.display(), absence(source))]
    Profile {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A path that names no profile.
    #[error("`{}` names no profile", .0.display())]
    NotAProfile(PathBuf),
    /// There is nothing to boot.
    #[error("no generation found: {}", found_nowhere(searched))]
    NoGenerations {
        /// What was searched.
        searched: Vec<PathBuf>,
    },
    /// Two documents claim one number.
    #[error("{whose} is both `{}` and `{}`", first.display(), second.display())]
    DuplicateGeneration {
        /// The generation, as a message names it.
        whose: String,
        /// One document or link.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// No number is left for a document without one.
    #[error("no generation number is left for `{}`", .0.display())]
    NumberTooLarge(PathBuf),
    /// The chosen default is not among the generations.
    #[error("the default, {wanted}, is none of the generations: {}", known.join(", "))]
    NoSuchDefault {
        /// The choice.
        wanted: String,
        /// What could have been chosen, or the newest of it.
        known: Vec<String>,
    },
    /// No generation is the system that should start by itself.
    #[error("no generation has its init in `{}`", .0.display())]
    NoSuchToplevel(PathBuf),
    /// A file that an entry needs could not be read.
    #[error("{whose}: {what} `{}` {}", path.display(), absence(source))]
    Missing {
        /// The entry, as a message names it.
        whose: String,
        /// What the file is to it.
        what: &'static str,
        /// The file, as the document names it.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The default entry's initial RAM disk lacks its secrets.
    #[error("{whose}: `{}` did not append initrd secrets: {reason}", program.display())]
    Secrets {
        /// The entry, as a message names it.
        whose: String,
        /// The program that makes them.
        program: PathBuf,
        /// What it said.
        reason: String,
    },
    /// A file cannot be on a boot partition.
    #[error("{whose}: {what} `{}` {reason}", path.display())]
    Unfit {
        /// The entry, as a message names it.
        whose: String,
        /// What the file is to it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The rule it breaks.
        reason: String,
    },
    /// Firmware cannot start the kernel.
    #[error("{whose}: kernel `{}` is not an EFI application: {reason}", path.display())]
    NotBootable {
        /// The entry, as a message names it.
        whose: String,
        /// The kernel.
        path: PathBuf,
        /// What it is instead.
        reason: String,
        /// Whether it is a Linux kernel all the same.
        is_linux: bool,
    },
    /// A kernel of another architecture than its system.
    #[error("{whose} is for {wanted}, but its kernel `{}` is for {found}", path.display())]
    WrongArchitecture {
        /// The entry, as a message names it.
        whose: String,
        /// What it should be.
        wanted: String,
        /// What it is.
        found: String,
        /// The kernel.
        path: PathBuf,
    },
    /// A title or version that no entry can hold.
    #[error("{whose}: its {what} cannot stand in an entry")]
    Text {
        /// The entry, as a message names it.
        whose: String,
        /// Which of its texts.
        what: &'static str,
        /// The rule it breaks.
        source: bootloaders::Error,
    },
    /// An extra entry or file with a name or a text that cannot be.
    #[error("{refusal}")]
    Extra {
        /// The rule it breaks.
        refusal: bootloaders::Error,
        /// What would do.
        hint: &'static str,
    },
    /// There is no boot loader, or not the right one.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// A Unified Kernel Image or an addon that cannot be.
    #[error("there can be no such image: {0}")]
    Uki(bootloaders::Error),
    /// A file that nothing can be added to.
    #[error("`{}` cannot be the stub: {reason}", path.display())]
    NotAStub {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No stub was given and none was found.
    #[error("there is no `{name}`{}", searched_places(searched))]
    NoStub {
        /// Its file name.
        name: String,
        /// Where it was searched.
        searched: Vec<PathBuf>,
    },
    /// A description of machines that is none.
    #[error("hardware IDs `{}`: {reason}", path.display())]
    Hwids {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Two files want one place; FAT ignores case, so the two may differ in it.
    #[error(
        "tree `{role}`: `{first}` ({first_origin}) and `{second}` ({second_origin}) want one place"
    )]
    Collision {
        /// The tree.
        role: Role,
        /// One path.
        first: TreePath,
        /// Who wants it.
        first_origin: String,
        /// The other path.
        second: TreePath,
        /// Who wants that.
        second_origin: String,
    },
    /// A file that no FAT file system can hold.
    #[error("tree `{role}`: `{path}` ({origin}): {reason}")]
    NotForFat {
        /// The tree.
        role: Role,
        /// The file.
        path: TreePath,
        /// Who wants it.
        origin: String,
        /// The rule it breaks.
        reason: String,
    },
    /// The plan made a manifest that its own format refuses.
    #[error("the planned trees are not valid")]
    Manifest(#[source] tree_manifest::Error),
    /// The root directory is none.
    #[error("root `{}` {}", path.display(), absence(source))]
    Root {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A source could not be read while its bytes were taken.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The source.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A source that is not what it was when the plan was made.
    #[error("`{}` changed while it was read: {reason}", path.display())]
    Changed {
        /// The source.
        path: PathBuf,
        /// What changed.
        reason: String,
    },
    /// A source that a manifest cannot name.
    #[error("`{}` is not UTF-8, so no manifest can refer to it", .0.display())]
    NotUtf8(PathBuf),
    /// The result could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A partition that the plan has files for is not given.
    #[error("no `{0}` partition is given")]
    NoMount(Role),
    /// Another process installs to the same partition.
    #[error("another installation to `{}` is under way", .0.display())]
    Busy(PathBuf),
    /// A directory that is not a mounted boot partition.
    #[error("`{}` {what}", path.display())]
    NotABootPartition {
        /// The directory.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A machine that has no EFI variables, or does not show them.
    #[error("there are no EFI variables in `{}`", .0.display())]
    NoVariables(PathBuf),
    /// A mounted file system that firmware cannot find.
    #[error("`{}` {reason}", mount.display())]
    NoPartition {
        /// Where it is mounted.
        mount: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// An EFI variable that firmware or the kernel did not take.
    #[error("cannot write the EFI variable `{name}`")]
    Variable {
        /// Its name.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// There is no room for what must be there at the worst moment.
    #[error("the {role} partition at `{}` {}{}", mount.display(), describe_room(room, *missing), way_out(instead.as_deref()))]
    NoSpace {
        /// Which partition.
        role: Role,
        /// Where it is mounted: mirrors have one role.
        mount: PathBuf,
        /// Its room.
        room: Use,
        /// What is missing.
        missing: ByteSize,
        /// Without which generations it would fit, if that was found out; none when
        /// nothing helps.
        instead: Option<Vec<GenerationId>>,
    },
    /// A key or a signature that was refused or could not be made.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The output is there and is not an earlier result.
    #[error("`{}` is there already and {reason}", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
}

impl Error {
    /// The same, told without which generations it would fit.
    #[must_use]
    pub fn instead(mut self, generations: Vec<GenerationId>) -> Self {
        if let Self::NoSpace { instead, .. } = &mut self {
            *instead = Some(generations);
        }
        self
    }
}
