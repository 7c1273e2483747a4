//! Stubs and kernels, each looked at once however many images are made of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bootloaders::uki::Stub;
use extents::SourceId;

use super::kernel::Kernel;
use super::read;
use crate::error::Error;

/// What images call their stub: it is the first of their pieces.
const FIRST: usize = 0;

/// What was found out about the stubs and kernels of images.
#[derive(Debug, Default)]
pub struct Parts {
    stubs: BTreeMap<PathBuf, (Arc<Stub>, u64)>,
    kernels: BTreeMap<PathBuf, Arc<Kernel>>,
}

impl Parts {
    /// A stub and its length in bytes.
    ///
    /// # Errors
    /// When it cannot be read, or cannot be a stub.
    pub(crate) fn stub(&mut self, path: &Path) -> Result<(Arc<Stub>, u64), Error> {
        if let Some(known) = self.stubs.get(path) {
            return Ok(known.clone());
        }
        let bytes = read(path, "stub")?;
        let stub = Stub::parse(&bytes, SourceId::new(FIRST));
        let stub = stub.map_err(|error| Error::NotAStub {
            path: path.into(),
            reason: error.to_string(),
        })?;
        let found = (Arc::new(stub), bytes.len() as u64);
        self.stubs.insert(path.into(), found.clone());
        Ok(found)
    }

    pub(super) fn kernel(&mut self, path: &Path) -> Result<Arc<Kernel>, Error> {
        if let Some(known) = self.kernels.get(path) {
            return Ok(Arc::clone(known));
        }
        let kernel = Arc::new(Kernel::read(path)?);
        self.kernels.insert(path.into(), Arc::clone(&kernel));
        Ok(kernel)
    }
}
