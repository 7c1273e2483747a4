//! systemd-boot's settings: `loader/loader.conf`.
//!
//! Specification: <https://www.freedesktop.org/software/systemd/man/latest/loader.conf.html>,
//! as of systemd 262.

mod values;

use std::fmt::{Display, Write as _};

use tree_manifest::spelling;

use crate::error::Error;
use crate::key_value::key_values;
use crate::line::Line;
use crate::loader_version::LoaderVersion;

pub use values::{
    ConsoleMode, EnrollAction, EnrollTimeout, LogLevel, RebootOnError, SecureBootEnroll, Timeout,
};

/// The settings; what is `None` is left to systemd-boot.
///
/// The fields are in the order in which they are written: first what nixpkgs
/// writes, in its order, then the others as in the manual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoaderConf {
    /// How long the menu is shown.
    pub timeout: Option<Timeout>,
    /// The entry that starts by itself unless it is known to be bad: as
    /// [`LoaderConf::default`], which stands in when no such entry is left.
    pub preferred: Option<Line>,
    /// The default entry: its file name without a boot counter, with `.conf`.
    /// systemd-boot takes it as a pattern; names of [`crate::entry_name`] match
    /// themselves alone.
    pub default: Option<Line>,
    /// Whether the kernel command line may be edited in the menu.
    pub editor: Option<bool>,
    /// Whether Windows is started by a reboot, so that `BitLocker` sees the
    /// measurements it knows.
    pub reboot_for_bitlocker: Option<bool>,
    /// The resolution of the menu.
    pub console_mode: Option<ConsoleMode>,
    /// Whether entries for other boot loaders on the disk are added.
    pub auto_entries: Option<bool>,
    /// Whether an entry for the firmware's setup is added.
    pub auto_firmware: Option<bool>,
    /// Whether an entry that switches the machine off is added.
    pub auto_poweroff: Option<bool>,
    /// Whether an entry that starts the machine again is added.
    pub auto_reboot: Option<bool>,
    /// Whether the number of the chosen entry is beeped.
    pub beep: Option<bool>,
    /// What happens to Secure Boot keys on the ESP.
    pub secure_boot_enroll: Option<SecureBootEnroll>,
    /// What follows when they were enrolled.
    pub secure_boot_enroll_action: Option<EnrollAction>,
    /// How long somebody can stop that.
    pub secure_boot_enroll_timeout: Option<EnrollTimeout>,
    /// What happens when an entry cannot be started.
    pub reboot_on_error: Option<RebootOnError>,
    /// Which messages are shown.
    pub log_level: Option<LogLevel>,
}

/// Settings as they were read, and what was no setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The settings.
    pub conf: LoaderConf,
    /// The lines that say nothing to systemd-boot either.
    pub passed_over: Vec<PassedOver>,
}

/// A line that is no setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The line, from 1.
    pub number: usize,
    /// Why it is none.
    pub error: Error,
}

impl LoaderConf {
    /// The text of the file.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (key, value) in self.values() {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{key} {value}");
            }
        }
        text
    }

    /// Reads a file as systemd-boot does: the last line of a key counts, and
    /// what is unknown or wrong is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Reading {
        let mut conf = Self::default();
        let mut passed_over = Vec::new();
        for line in key_values(text) {
            if let Err(error) = conf.set(line.key, line.value) {
                let number = line.number;
                passed_over.push(PassedOver { number, error });
            }
        }
        Reading { conf, passed_over }
    }

    /// Sets one setting from its text.
    ///
    /// # Errors
    /// When there is no such setting, with the one that was perhaps meant; when
    /// it takes no such value, with those that it takes.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let done = match key {
            "timeout" => put(&mut self.timeout, value.parse()),
            "preferred" => put(&mut self.preferred, values::pattern(value)),
            "default" => put(&mut self.default, values::pattern(value)),
            "editor" => put(&mut self.editor, values::switch(value)),
            "reboot-for-bitlocker" => put(&mut self.reboot_for_bitlocker, values::switch(value)),
            "console-mode" => put(&mut self.console_mode, value.parse()),
            "auto-entries" => put(&mut self.auto_entries, values::switch(value)),
            "auto-firmware" => put(&mut self.auto_firmware, values::switch(value)),
            "auto-poweroff" => put(&mut self.auto_poweroff, values::switch(value)),
            "auto-reboot" => put(&mut self.auto_reboot, values::switch(value)),
            "beep" => put(&mut self.beep, values::switch(value)),
            "secure-boot-enroll" => put(&mut self.secure_boot_enroll, value.parse()),
            "secure-boot-enroll-action" => put(&mut self.secure_boot_enroll_action, value.parse()),
            "secure-boot-enroll-timeout-sec" => {
                put(&mut self.secure_boot_enroll_timeout, value.parse())
            }
            "reboot-on-error" => put(&mut self.reboot_on_error, value.parse()),
            "log-level" => put(&mut self.log_level, value.parse()),
            _ => {
                return Err(Error::UnknownSetting {
                    key: key.to_owned(),
                    nearest: spelling::nearest(key, keys()),
                });
            }
        };
        done.map_err(|source| Error::Setting {
            key: key.to_owned(),
            source: Box::new(source),
        })
    }

    /// The settings that an installed systemd-boot is too old to know, and would
    /// pass over.
    #[must_use]
    pub fn unknown_to(&self, version: &LoaderVersion) -> Vec<&'static str> {
        let set = self
            .values()
            .into_iter()
            .filter(|(_, value)| value.is_some());
        set.map(|(key, _)| key)
            .filter(|key| !version.is_at_least(since(key)))
            .collect()
    }

    /// Each setting and its text, in the order of the file.
    fn values(&self) -> [(&'static str, Option<String>); 16] {
        let yes_or_no =
            |value: Option<bool>| value.map(|yes| if yes { "yes" } else { "no" }.into());
        [
            ("timeout", text(self.timeout.as_ref())),
            ("preferred", text(self.preferred.as_ref())),
            ("default", text(self.default.as_ref())),
            ("editor", yes_or_no(self.editor)),
            ("reboot-for-bitlocker", yes_or_no(self.reboot_for_bitlocker)),
            ("console-mode", text(self.console_mode.as_ref())),
            ("auto-entries", yes_or_no(self.auto_entries)),
            ("auto-firmware", yes_or_no(self.auto_firmware)),
            ("auto-poweroff", yes_or_no(self.auto_poweroff)),
            ("auto-reboot", yes_or_no(self.auto_reboot)),
            ("beep", yes_or_no(self.beep)),
            ("secure-boot-enroll", text(self.secure_boot_enroll.as_ref())),
            (
                "secure-boot-enroll-action",
                text(self.secure_boot_enroll_action.as_ref()),
            ),
            (
                "secure-boot-enroll-timeout-sec",
                text(self.secure_boot_enroll_timeout.as_ref()),
            ),
            ("reboot-on-error", text(self.reboot_on_error.as_ref())),
            ("log-level", text(self.log_level.as_ref())),
        ]
    }
}

/// The names of all settings, in the order of the file.
pub fn keys() -> impl Iterator<Item = &'static str> {
    LoaderConf::default()
        .values()
        .into_iter()
        .map(|(key, _)| key)
}

/// The release of systemd that brought a setting, from its NEWS; those without
/// one are older than anything that is still installed.
fn since(key: &str) -> u32 {
    match key {
        "preferred" => 260,
        "log-level" | "secure-boot-enroll-timeout-sec" => 259,
        "reboot-on-error" | "secure-boot-enroll-action" => 258,
        "auto-poweroff" | "auto-reboot" => 255,
        "secure-boot-enroll" => 252,
        "beep" | "reboot-for-bitlocker" => 251,
        _ => 0,
    }
}

fn put<T>(place: &mut Option<T>, value: Result<T, Error>) -> Result<(), Error> {
    *place = Some(value?);
    Ok(())
}

fn text(value: Option<&impl Display>) -> Option<String> {
    value.map(ToString::to_string)
}

#[cfg(test)]
mod tests;
