//! Boot partitions that are in use: what is on them, what must change, and the
//! writes that change it without a moment at which nothing boots.
//!
//! ```text
//! TreePlan ─┐
//!           ├─ changes ── budget ── steps ─┤execute├── partition
//! inventory ┘
//! ```
//!
//! [`changes`], [`space`], [`steps`] and [`diff`] are pure; [`inventory`], [`known`], [`state`] and
//! [`execute`] look and write, as do [`random_seed`] and, for firmware's menu,
//! [`partition`] and [`efivars`].

pub mod boot_loaders;
pub mod booted;
pub mod changes;
pub mod diff;
pub mod efivars;
pub mod execute;
pub mod fit;
pub mod install;
pub mod inventory;
pub mod known;
pub mod lock;
pub mod mount;
pub mod partition;
pub mod random_seed;
mod shown;
pub mod space;
pub mod state;
pub mod status;
pub mod steps;
pub mod verify;

#[cfg(test)]
mod tests;
