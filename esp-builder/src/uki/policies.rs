//! Signed PCR policies: who vouches for what an image measures.

use std::collections::BTreeMap;
use std::path::Path;

use bootloaders::uki::{Content, Section, Uki};
use secure_boot::HashAlgorithm;
use secure_boot::key::PrivateKey;
use secure_boot::measure::policy::Policies;
use secure_boot::measure::uki::{self, PhasePath, Variant};
use secure_boot::measure::{Digests, Hashers};

use crate::assembled::{Assembled, Pieces};
use crate::content;
use crate::error::{Error, SigningError};
use crate::measurement::{self, Wanted};
use crate::signing::{self, key_file, refused};

/// The section with the policies of a profile.
const SECTION: &str = ".pcrsig";

/// Which policies are signed, and by whom.
#[derive(Debug, Clone, Default)]
pub struct PcrPolicy {
    /// The banks; all of them when there are none.
    pub banks: Vec<HashAlgorithm>,
    /// Who signs; no policies without anybody.
    pub signers: Vec<PcrSigner>,
}

/// Somebody who vouches for an image until some moments of its boot.
#[derive(Debug, Clone)]
pub struct PcrSigner {
    /// What signs.
    pub key: PrivateKey,
    /// The text of its public key, where a file has it.
    pub public_key: Option<String>,
    /// The moments; the usual ones when there are none.
    pub phases: Vec<PhasePath>,
}

impl PcrSigner {
    /// Reads a private key, and the file of its public key where there is one.
    ///
    /// # Errors
    /// When the private key is one that others could have, when a file cannot be read,
    /// or when the two are not of one pair.
    pub fn load(key: &Path, public_key: Option<&Path>, store_dir: &Path) -> Result<Self, Error> {
        let key = key_file::load(key, store_dir)?;
        let load = |path: &Path| {
            let bytes = signing::read(path)?;
            let refuse = |reason: &str| {
                let source = secure_boot::Error::Key(reason.to_owned());
                refused(path)(source)
            };
            if !key.public().is_in(&bytes).map_err(refused(path))? {
                return Err(refuse("has another public key"));
            }
            String::from_utf8(bytes).map_err(|_| refuse("needs its public key in PEM"))
        };
        Ok(Self {
            public_key: public_key.map(load).transpose()?,
            key,
            phases: Vec::new(),
        })
    }
}

impl PcrPolicy {
    /// The public key for the image, which is that of the only signer.
    pub(super) fn public_key(&self) -> Option<String> {
        let [signer] = self.signers.as_slice() else {
            return None;
        };
        let given = signer.public_key.clone();
        Some(given.unwrap_or_else(|| signer.key.public().to_pem()))
    }
}

/// Adds to every profile of an image the policies of what it measures.
pub(super) fn add(mut image: Uki, policy: &PcrPolicy, pieces: &Pieces) -> Result<Uki, Error> {
    if policy.signers.is_empty() {
        return Ok(image);
    }
    let sections = image.clone().into_sections().map_err(Error::Uki)?;
    let names: Vec<_> = sections.iter().map(|it| it.name.as_str()).collect();
    let mut profiles: BTreeMap<usize, Policies> = BTreeMap::new();
    let mut digests = Measured {
        sections: &sections,
        pieces,
        wanted: Wanted::new(&policy.banks, &[]),
        digests: BTreeMap::new(),
    };
    for variant in uki::variants(&names) {
        let policies = profiles.entry(variant.profile).or_default();
        digests.sign(&variant, &policy.signers, policies)?;
    }
    for (profile, policies) in profiles {
        let content = Content::bytes(policies.to_json().into_bytes());
        match profile.checked_sub(1) {
            None => image.pcrsig = Some(content),
            Some(other) => image.profiles[other].1.others.push(Section {
                name: SECTION.parse().map_err(Error::Uki)?,
                content,
            }),
        }
    }
    Ok(image)
}

/// The sections of an image that is not there yet, each read once.
struct Measured<'a> {
    sections: &'a [Section],
    pieces: &'a Pieces,
    wanted: Wanted,
    digests: BTreeMap<usize, Digests>,
}

impl Measured<'_> {
    fn sign(
        &mut self,
        variant: &Variant,
        signers: &[PcrSigner],
        policies: &mut Policies,
    ) -> Result<(), Error> {
        let banks = self.wanted.banks.clone();
        let start = measurement::register(&banks, variant, |index| self.digests(index))?;
        for signer in signers {
            let given = Wanted::new(&[], &signer.phases);
            for phases in &given.phases {
                let value = uki::after(&start, phases);
                let signed = policies.sign(&signer.key, uki::NUMBER, &value);
                signed.map_err(SigningError::Signer)?;
            }
        }
        Ok(())
    }

    fn digests(&mut self, index: usize) -> Result<Digests, Error> {
        if let Some(digests) = self.digests.get(&index) {
            return Ok(digests.clone());
        }
        let section = Assembled {
            map: self.sections[index].content.map(),
            sources: self.pieces.clone(),
        };
        let mut hashers = Hashers::new(&self.wanted.banks);
        content::read(&section, &mut |bytes| hashers.update(bytes))
            .map_err(|failure| failure.into_error("the image".as_ref()))?;
        let digests = hashers.finish();
        self.digests.insert(index, digests.clone());
        Ok(digests)
    }
}
