//! How a file system that is laid out here is called.

use uuid::Uuid;

/// The names of a file system, and its time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeId {
    /// The UUID.
    pub uuid: Uuid,
    /// The label, of which as many bytes are kept as there is room for.
    pub label: String,
    /// The time of everything in it, in seconds since 1970.
    pub time: u64,
}
