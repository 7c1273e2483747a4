//! Protects partitions by dm-verity: reads what is to be in them, and computes the trees
//! of hashes, their root hashes, and the partitions that hold signatures.
//!
//! The trees stay in memory: they have a 128th of the data. A partition with data gets
//! the first half of the root hash for its UUID, one with hashes the second, by which
//! systemd finds them (Discoverable Partitions Specification).

use base64ct::{Base64, Encoding};
use extents::ExtentMap;
use secure_boot::certificate::Certificate;
use secure_boot::key::PrivateKey;
use secure_boot::{HashAlgorithm, cms, hex};
use uuid::Uuid;

use crate::config::{ImageConfig, VeritySet, verity_sets};
use crate::dm_verity::{Digest, Parameters};
use crate::error::Error;
use crate::parallel;
use crate::pieces;
use crate::plan::{self, ImageLayout, claims};
use crate::scan::{Inputs, PartitionInput};
use crate::source::Sources;

/// The bytes that a thread hashes at once.
const STEP: u64 = 8 << 20;

/// Who signs root hashes.
#[derive(Debug, Default)]
pub struct Signing {
    /// A key, and the certificate that goes with it.
    pub key: Option<(PrivateKey, Certificate)>,
    /// Signatures made elsewhere, in DER, with the root hash of each.
    pub made: Vec<(String, Vec<u8>)>,
}

/// Computes all sets, puts their hashes and signatures among the inputs, and gives the
/// partitions of the layout their UUIDs and root hashes. Once more, it does so anew.
///
/// # Errors
/// When a source cannot be read or changed, or there is no signature.
pub fn protect(
    config: &ImageConfig,
    inputs: &mut Inputs,
    layout: &mut ImageLayout,
    signing: &Signing,
) -> Result<(), Error> {
    for set in verity_sets(&config.partitions).unwrap_or_default() {
        let (Some(data), Some(_)) = (&layout.entries[set.data], &layout.entries[set.hash]) else {
            continue;
        };
        let parameters = parameters(config, &set);
        let (_, content) = plan::content_of(config, inputs, layout, set.data, data)?;
        let length = claims::hashed(&set, &inputs.partitions[set.data], data.size);
        let block = u64::from(parameters.data_block);
        let map = content.slice(0, length.next_multiple_of(block));
        let leaves = leaves(&map, &inputs.sources, parameters)?;
        let tree = parameters.tree(&leaves);
        let root_hash = hex(&tree.root);
        if let Some(index) = set.signature {
            let document = signature(&root_hash, signing)
                .map_err(|source| plan::in_partition(config, index, source))?;
            inputs.partitions[index] = PartitionInput::Computed(document.into());
        }
        inputs.partitions[set.hash] = PartitionInput::Computed(tree.bytes.into());
        let halves = [(set.data, &tree.root[..16]), (set.hash, &tree.root[16..])];
        for (index, half) in halves {
            if config.partitions[index].uuid.is_none()
                && let Some(entry) = &mut layout.entries[index]
                && let Ok(uuid) = Uuid::from_slice(half)
            {
                entry.uuid = uuid;
            }
        }
        for index in [Some(set.data), Some(set.hash), set.signature] {
            layout.set_root_hash(index, &root_hash);
        }
    }
    Ok(())
}

/// What the tree of a set depends on.
pub(crate) fn parameters(config: &ImageConfig, set: &VeritySet) -> Parameters {
    let seed = plan::seed_of(config);
    Parameters {
        data_block: set.data_block,
        hash_block: set.hash_block,
        salt: seed.salt(),
        uuid: seed.hash_tree(),
    }
}

/// The digests of the blocks of a map, by as many threads as there are processors.
fn leaves(
    map: &ExtentMap,
    sources: &Sources,
    parameters: Parameters,
) -> Result<Vec<Digest>, Error> {
    let steps = usize::try_from(map.length().div_ceil(STEP)).unwrap_or(usize::MAX);
    let leaves = parallel::each(steps, |step| {
        let start = step as u64 * STEP;
        let slice = map.slice(start, STEP.min(map.length() - start));
        digests(&slice, sources, parameters)
    });
    let leaves: Vec<_> = leaves.into_iter().collect::<Result<_, _>>()?;
    Ok(leaves.concat())
}

/// The digests of the blocks of a map, whose length is a multiple of theirs. One block
/// of zeros is hashed for all.
fn digests(
    map: &ExtentMap,
    sources: &Sources,
    parameters: Parameters,
) -> Result<Vec<Digest>, Error> {
    let size = parameters.data_block as usize;
    let zeros = vec![0; size];
    let of_zeros = parameters.digest(&zeros);
    let mut digests = Vec::new();
    let mut begun: Vec<u8> = Vec::new();
    let mut take = |block: &[u8]| {
        digests.push(if block == zeros {
            of_zeros
        } else {
            parameters.digest(block)
        });
    };
    pieces::read(map, sources, |mut bytes| {
        if !begun.is_empty() {
            let (first, rest) = bytes.split_at(bytes.len().min(size - begun.len()));
            begun.extend_from_slice(first);
            bytes = rest;
            if begun.len() < size {
                return Ok::<_, Error>(());
            }
            take(&begun);
            begun.clear();
        }
        let mut blocks = bytes.chunks_exact(size);
        blocks.by_ref().for_each(&mut take);
        begun.extend_from_slice(blocks.remainder());
        Ok(())
    })?;
    Ok(digests)
}

/// The content of the partition that holds the signature of a root hash.
fn signature(root_hash: &str, signing: &Signing) -> Result<Vec<u8>, Error> {
    let made = signing.made.iter().find(|(hash, _)| hash == root_hash);
    let (certificate, signature) = match (made, &signing.key) {
        (Some((_, signature)), key) => {
            let certificate = key.as_ref().map(|(_, certificate)| certificate);
            (certificate, signature.clone())
        }
        (None, Some((key, certificate))) => {
            let signed = cms::sign(root_hash.as_bytes(), key, certificate);
            let signature = signed.map_err(|source| Error::Signing { source })?;
            (Some(certificate), signature)
        }
        (None, None) => {
            let root_hash = root_hash.to_owned();
            return Err(Error::NoSignature { root_hash });
        }
    };
    let fingerprint = certificate.map(|it| HashAlgorithm::Sha256.digest(it.der()));
    let fingerprint = fingerprint.map(|digest| {
        let digest = hex(&digest);
        format!("\"certificateFingerprint\":\"{digest}\",")
    });
    let text = format!(
        "{{\"rootHash\":\"{root_hash}\",{}\"signature\":\"{}\"}}",
        fingerprint.unwrap_or_default(),
        Base64::encode_string(&signature)
    );
    Ok(text.into_bytes())
}
