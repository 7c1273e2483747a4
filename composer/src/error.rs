//! Why an image could not be composed or read.

mod causes;
mod hint;

use std::io;
use std::path::PathBuf;

use tree_manifest::TreePath;

use crate::fat::FatType;
use crate::size::ByteSize;
use crate::tools::Tool;
pub(crate) use causes::{read, write};

/// Why an image could not be composed or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The image description is not what it should be.
    #[error("`{}`: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A manifest was refused.
    #[error("manifest `{}`", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: tree_manifest::Error,
    },
    /// A manifest has no tree of a role.
    #[error("manifest `{}` has no tree `{role}`; it has {known}", path.display())]
    NoTree {
        /// The manifest.
        path: PathBuf,
        /// The role asked for.
        role: String,
        /// The roles there are.
        known: String,
    },
    /// Something is wrong with one partition.
    #[error("partition {number} (`{label}`)")]
    Partition {
        /// Its number, from 1.
        number: u32,
        /// Its label.
        label: String,
        /// What is wrong.
        source: Box<Error>,
    },
    /// Two things want one place in a tree.
    #[error("`{path}` is there twice")]
    Twice {
        /// The place.
        path: TreePath,
    },
    /// Two names are one to FAT.
    #[error("{first} and {second} are one name on a FAT file system")]
    Collision {
        /// One, with its origin.
        first: String,
        /// The other, with its origin.
        second: String,
    },
    /// FAT cannot hold something.
    #[error("`{path}`: {reason}")]
    NotForFat {
        /// The place in the tree.
        path: TreePath,
        /// The rule it breaks.
        reason: String,
    },
    /// A file system as Unix knows them cannot hold something.
    #[error("`{path}`: {reason}")]
    NotForFileSystem {
        /// The place in the tree.
        path: String,
        /// The rule it breaks.
        reason: String,
    },
    /// A path is none a tree can have.
    #[error("`{}`: {reason}", path.escape_debug())]
    NotAPlace {
        /// The path.
        path: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A directory has too many entries for FAT.
    #[error(
        "directory `{path}` has {files} files whose names take {entries} entries; FAT permits 65536"
    )]
    DirectoryFull {
        /// The directory.
        path: String,
        /// Its files.
        files: usize,
        /// Entries their names take.
        entries: u64,
    },
    /// No FAT volume is as was asked.
    #[error("no FAT volume of {size}{} can be made", wishes(*fat_type, *cluster))]
    NoGeometry {
        /// The size.
        size: ByteSize,
        /// The type asked for.
        fat_type: Option<FatType>,
        /// The cluster size asked for.
        cluster: Option<ByteSize>,
    },
    /// A tree does not fit its volume.
    #[error("the tree needs {needed} ({} bytes) of clusters and the volume has {available} ({} bytes)", needed.bytes(), available.bytes())]
    VolumeFull {
        /// What the tree takes.
        needed: ByteSize,
        /// What there is.
        available: ByteSize,
        /// The smallest volume that would do.
        least: ByteSize,
    },
    /// A file system takes more room than it got.
    #[error("the file system takes {needed} ({} bytes) and the partition has {available} ({} bytes)", needed.bytes(), available.bytes())]
    Outgrown {
        /// What it takes.
        needed: ByteSize,
        /// What there is.
        available: ByteSize,
    },
    /// A file system has no room for what is to be written.
    #[error("`{}` takes {needed} ({} bytes) and its file system has {free} ({} bytes) free", path.display(), needed.bytes(), free.bytes())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// What it takes.
        needed: ByteSize,
        /// What is free.
        free: ByteSize,
    },
    /// What a program writes has used up a file system.
    #[error("`{}` lies on a file system that had {free} ({} bytes) free", path.display(), free.bytes())]
    UsedUp {
        /// The file, or the folder that the program wrote to.
        path: PathBuf,
        /// What was free before.
        free: ByteSize,
        /// What the program said.
        source: Box<Error>,
    },
    /// A partition is larger than it may be.
    #[error("it needs {needed} ({} bytes) and `size-max-bytes` is {most} ({} bytes)", needed.bytes(), most.bytes())]
    TooLarge {
        /// What it takes.
        needed: ByteSize,
        /// What it may have.
        most: ByteSize,
    },
    /// The partition table cannot be made.
    #[error("no partition table can be made: {reason}")]
    Table {
        /// Why.
        reason: String,
    },
    /// `SOURCE_DATE_EPOCH` is no time.
    #[error("`SOURCE_DATE_EPOCH` is `{}`", text.escape_debug())]
    NotATime {
        /// What it is.
        text: String,
    },
    /// No definitions of systemd-repart say what a description does.
    #[error("no definitions of systemd-repart are like this: {message}")]
    Definitions {
        /// What they cannot say.
        message: String,
    },
    /// What should be a closure of a store is none.
    #[error("`store-paths`: {message}")]
    Closure {
        /// What is wrong with it.
        message: String,
    },
    /// A program is not there.
    #[error("`{}` is not there, which {}", program.display(), tool.purpose())]
    NoProgram {
        /// What should be run.
        program: PathBuf,
        /// What it should be.
        tool: Tool,
    },
    /// A program failed.
    #[error("`{}` failed ({status}): {said}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: String,
        /// The last lines that it said.
        said: String,
    },
    /// A program cannot do what is asked for.
    #[error("`{}` is of version {version}, and `{key}` needs {since}", program.display())]
    OldProgram {
        /// The program.
        program: PathBuf,
        /// Its version.
        version: u32,
        /// What is asked for.
        key: String,
        /// The first version that can do it.
        since: u32,
    },
    /// A command that makes a tree cannot be run.
    #[error("`tree-command`: {reason}")]
    Command {
        /// Why.
        reason: String,
    },
    /// What was hashed would get another size.
    #[error("its size depends on a tree whose content depends on its root hash")]
    Resized,
    /// A partition cannot become a file.
    #[error("`split-name`: {reason}")]
    SplitName {
        /// Why.
        reason: String,
    },
    /// No partition can be updated.
    #[error("no partition that is written apart has the version of the image in its label")]
    NoTransfer,
    /// An image is there, or is not as it should be.
    #[error("`{}` {what}, and `empty` is `{empty}`", path.display())]
    Occupied {
        /// The image.
        path: PathBuf,
        /// What it has.
        what: &'static str,
        /// What was asked for.
        empty: &'static str,
    },
    /// An image cannot become what a description says without moving something.
    #[error("the image is unlike its description: {reason}")]
    Unlike {
        /// In what.
        reason: String,
    },
    /// There is no signature of a root hash.
    #[error("there is no key to sign the root hash {root_hash} with, and no signature of it")]
    NoSignature {
        /// The root hash.
        root_hash: String,
    },
    /// A root hash could not be signed.
    #[error("the root hash cannot be signed")]
    Signing {
        /// Why.
        source: secure_boot::Error,
    },
    /// A key, a certificate or a signature was refused.
    #[error("`{}` cannot be used", path.display())]
    Credential {
        /// The file.
        path: PathBuf,
        /// Why.
        source: secure_boot::Error,
    },
    /// A private key that others could use.
    #[error("the private key `{}` {reason}", path.display())]
    ExposedKey {
        /// The file.
        path: PathBuf,
        /// Who could.
        reason: String,
    },
    /// The partitions do not fit the image.
    #[error("the partitions need {needed} ({} bytes) and the image has {available} ({} bytes){partitions}", needed.bytes(), available.bytes())]
    ImageFull {
        /// What the partitions and the tables take.
        needed: ByteSize,
        /// What was asked for.
        available: ByteSize,
        /// Each partition with its size, behind a colon.
        partitions: String,
    },
    /// A disk is larger than a format permits.
    #[error("the disk has {size} ({} bytes) and {format} holds at most {most}", size.bytes())]
    DiskTooLarge {
        /// The format.
        format: &'static str,
        /// How large the disk is.
        size: ByteSize,
        /// How large one may be.
        most: ByteSize,
    },
    /// A manifest has a file without its bytes.
    #[error("`{0}`: its bytes are nowhere but on the partition that the manifest describes")]
    NoSource(TreePath),
    /// A source is of a type that cannot be copied.
    #[error("`{}` is {what}; only files and directories can be copied", path.display())]
    Unusual {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A source is not what its manifest says.
    #[error("`{}` {change} since its manifest was written", path.display())]
    NotAsManifest {
        /// The file.
        path: PathBuf,
        /// In what it differs.
        change: String,
    },
    /// A source changed while it was copied.
    #[error("`{}` changed while it was copied", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The output is something that must not be replaced.
    #[error("output `{}` is {what}", path.display())]
    Output {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// An image is damaged, or not an image.
    #[error("image `{}`: {reason}", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something was asked for that the image does not have.
    #[error("image `{}` has no {what}", path.display())]
    NotInImage {
        /// The image.
        path: PathBuf,
        /// What was asked for.
        what: String,
    },
}

fn wishes(fat_type: Option<FatType>, cluster: Option<ByteSize>) -> String {
    let fat_type = fat_type.map(|fat_type| format!(" as {fat_type}"));
    let cluster = cluster.map(|cluster| format!(" with clusters of {cluster}"));
    fat_type.into_iter().chain(cluster).collect()
}
