//! What goes into an image, and in which order.

use std::collections::BTreeSet;

use super::profile::{FirstProfile, Profile};
use super::section::{Content, Section, SectionName};
use crate::error::Error;

/// Sections of which one profile may have several: the stub takes the one that fits
/// the machine.
const REPEATED: [&str; 2] = [".dtbauto", ".efifw"];

/// What goes into the sections of one profile, or of an addon. What is `None` or empty
/// gets no section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// What `/etc/os-release` of the system says.
    pub os_release: Option<Content>,
    /// The kernel command line.
    pub cmdline: Option<Content>,
    /// A device tree.
    pub dtb: Option<Content>,
    /// Device trees of which the one of the machine is taken.
    pub dtbauto: Vec<Content>,
    /// Which machines there are; see [`super::hwids`].
    pub hwids: Option<Content>,
    /// The release of the kernel.
    pub uname: Option<Content>,
    /// A picture, in the BMP format.
    pub splash: Option<Content>,
    /// The public key of signed PCR policies, in the PEM format.
    pub pcrpkey: Option<Content>,
    /// The kernel.
    pub linux: Option<Content>,
    /// Initial RAM disks, which become one section.
    pub initrds: Vec<Content>,
    /// Firmware of which that of the machine is taken; see [`super::efifw`].
    pub efifw: Vec<Content>,
    /// Microcode updates, as an uncompressed RAM disk.
    pub ucode: Option<Content>,
    /// Any other sections.
    pub others: Vec<Section>,
}

/// What an image is to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uki {
    /// What every profile has that does not bring its own; the first profile.
    pub base: Contents,
    /// What the generations of revocable parts are; see [`super::sbat::merge`].
    pub sbat: Option<Content>,
    /// What the first profile is called.
    pub profile: FirstProfile,
    /// Signed PCR policies of the first profile.
    pub pcrsig: Option<Content>,
    /// Other profiles, with what they override.
    pub profiles: Vec<(Profile, Contents)>,
}

impl Uki {
    /// The sections in their order: what is shared, then for each profile the section
    /// that names it, followed by its own.
    ///
    /// # Errors
    /// When a profile has a section twice, or two profiles have one name.
    pub fn into_sections(self) -> Result<Vec<Section>, Error> {
        let mut sections = self.base.into_sections()?;
        sections.extend(self.sbat.map(|sbat| known(".sbat", sbat)));
        let mut names = BTreeSet::new();
        if let Some((text, name)) = self.profile.marker(self.profiles.is_empty()) {
            sections.push(marker(text));
            names.extend(name);
        }
        sections.extend(self.pcrsig.map(|policies| known(".pcrsig", policies)));
        check_unique(&sections)?;
        for (profile, contents) in self.profiles {
            if !names.insert(profile.id().to_owned()) {
                return Err(Error::Section {
                    name: ".profile".to_owned(),
                    reason: format!("occurs twice with the name `{}`", profile.id()),
                });
            }
            sections.push(marker(profile.render()));
            sections.extend(contents.into_sections()?);
        }
        Ok(sections)
    }
}

impl Contents {
    fn into_sections(self) -> Result<Vec<Section>, Error> {
        let one = |content: Option<Content>| content.into_iter().collect::<Vec<_>>();
        let ordered = [
            (".osrel", one(self.os_release)),
            (".cmdline", one(self.cmdline)),
            (".dtb", one(self.dtb)),
            (".dtbauto", self.dtbauto),
            (".hwids", one(self.hwids)),
            (".uname", one(self.uname)),
            (".splash", one(self.splash)),
            (".pcrpkey", one(self.pcrpkey)),
            (".linux", one(self.linux)),
            (".initrd", one(Content::initrds(self.initrds))),
            (".efifw", self.efifw),
            (".ucode", one(self.ucode)),
        ];
        let mut sections = Vec::new();
        for (name, contents) in ordered {
            sections.extend(contents.into_iter().map(|content| known(name, content)));
        }
        sections.extend(self.others);
        check_unique(&sections)?;
        Ok(sections)
    }
}

fn known(name: &str, content: Content) -> Section {
    Section {
        name: SectionName::known(name),
        content,
    }
}

fn marker(text: String) -> Section {
    known(".profile", Content::bytes(text.into_bytes()))
}

fn check_unique(sections: &[Section]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    let names = sections.iter().map(|section| section.name.as_str());
    for name in names.filter(|name| !REPEATED.contains(name)) {
        if !seen.insert(name) {
            return Err(Error::Section {
                name: name.to_owned(),
                reason: "occurs twice in one profile".to_owned(),
            });
        }
    }
    Ok(())
}
