//! Where an image goes: to a file, or to standard output.
#![expect(clippy::disallowed_methods, reason = "tells one file from another")]

use std::fmt;
use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};

use composer::config::{ImageConfig, ImageSection, OutputFormat};
use composer::plan::ImagePlan;
use composer::source::Sources;
use composer::stream::{self, Failure};
use composer::{Error, format, overlay, raw};
use extents::ExtentMap;

use crate::cli::ComposeRequest;
use crate::output_error;
use crate::report::Progress;

/// Where an image goes.
#[derive(Debug)]
pub enum Output {
    /// To a file.
    File(PathBuf),
    /// To standard output.
    Standard,
}

impl Output {
    /// Where it was asked for: on the command line, in the description, or nowhere.
    ///
    /// # Errors
    /// When it would go to a terminal, or has a backing file that its format has not.
    pub fn of(request: &ComposeRequest, config: &ImageConfig, base: &Path) -> Result<Self, Error> {
        let output = match (&request.output, &config.image.output) {
            (Some(output), _) if output.as_os_str() == "-" => Self::Standard,
            (Some(output), _) => Self::File(output.clone()),
            (None, Some(output)) => Self::File(base.join(output)),
            (None, None) => Self::File(config.default_output()),
        };
        let is_standard = matches!(output, Self::Standard);
        if is_standard && io::stdout().is_terminal() && !request.dry_run {
            return Err(output.refuse("a terminal; name a file, or a pipe to write to"));
        }
        if request.backing.is_some() && config.image.format != OutputFormat::Qcow2 {
            return Err(output.refuse("not in the format qcow2; only that has a backing file"));
        }
        Ok(output)
    }

    /// The file.
    ///
    /// # Errors
    /// When it is standard output.
    pub fn path(&self) -> Result<&Path, Error> {
        match self {
            Self::File(path) => Ok(path),
            Self::Standard => {
                Err(self.refuse("standard output; this needs a file: name one with `-o`"))
            }
        }
    }

    /// The folder where files are made for a while, best that of the image.
    pub fn folder(&self) -> PathBuf {
        match self {
            Self::File(path) => match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            },
            Self::Standard => std::env::temp_dir(),
        }
    }

    /// Writes an image, in the format and compressed as the description says.
    ///
    /// # Errors
    /// When the format cannot hold it, a source changed, or writing fails.
    pub fn write(
        &self,
        request: &ComposeRequest,
        section: &ImageSection,
        plan: &ImagePlan,
        sources: &Sources,
    ) -> Result<(), Error> {
        let name = match self {
            Self::File(path) => path.file_name().map(|name| name.to_string_lossy()),
            Self::Standard => None,
        };
        let name = name.as_deref().unwrap_or("disk");
        let map = match &request.backing {
            Some(base) => self.overlay(base, plan, sources)?,
            None => format::encode(section.format, plan.extents.clone(), plan.disk, name)?,
        };
        let is_sparse = matches!((self, section.compress), (Self::File(_), None));
        let total = if is_sparse { map.data() } else { map.length() };
        let mut progress = Progress::start(request.progress, total);
        let mut told = |bytes| progress.advance(bytes);
        let written = match (self, request.compressing(section.compress)) {
            (Self::File(path), compressing) => {
                let sync = request.sync;
                let options = raw::Options { compressing, sync };
                raw::write(&map, sources, path, options, &mut told)
            }
            (Self::Standard, Some(compressing)) => {
                let to = io::stdout().as_fd().try_clone_to_owned();
                let to = File::from(to.map_err(output_error)?);
                stream::compress(&map, sources, compressing, to, &mut told)
            }
            (Self::Standard, None) => {
                let mut out = io::stdout().lock();
                stream::write(&map, sources, &mut out, &mut told).map_err(|failure| match failure {
                    Failure::Closed(error) => output_error(error),
                    Failure::Source(error) => error,
                })
            }
        };
        progress.finish();
        written
    }

    /// The file that has what an image has beyond another one.
    fn overlay(
        &self,
        base: &Path,
        plan: &ImagePlan,
        sources: &Sources,
    ) -> Result<ExtentMap, Error> {
        let cluster = format::QCOW2_CLUSTER;
        let overlay = overlay::beyond(base, &plan.extents, cluster, sources)?;
        let failed = |source| Error::Read {
            path: base.to_owned(),
            source,
        };
        let absolute = path::absolute(base).map_err(failed)?;
        if let Self::File(output) = self
            && takes_the_place_of(output, base)
        {
            return Err(self.refuse("its own backing file"));
        }
        let folder = path::absolute(self.folder()).map_err(failed)?;
        // What is before a colon would be a protocol.
        let name = match (self, absolute.strip_prefix(folder)) {
            (Self::File(_), Ok(below)) => Path::new(".").join(below),
            _ => absolute,
        };
        let name = name.into_os_string().into_string();
        let name = name.map_err(|_| self.refuse("to name a backing file that is not UTF-8"))?;
        format::encode_overlay(overlay, name)
    }

    fn refuse(&self, what: &'static str) -> Error {
        Error::Output {
            path: PathBuf::from(self.to_string()),
            what,
        }
    }
}

/// Whether a file of one path, which may be a link, is the one that another path leads to.
fn takes_the_place_of(output: &Path, base: &Path) -> bool {
    let inode = |found: fs::Metadata| (found.dev(), found.ino());
    let replaced = fs::symlink_metadata(output).map(inode);
    replaced.is_ok_and(|replaced| fs::metadata(base).is_ok_and(|base| inode(base) == replaced))
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Standard => f.write_str("-"),
        }
    }
}
