//! The firmware's variables that say whom it trusts: PK, KEK and db.
//!
//! Specification: UEFI 2.11, 32.4.1 (`EFI_SIGNATURE_DATA`) and 8.2.2
//! (`EFI_VARIABLE_AUTHENTICATION_2`).

use uuid::Uuid;

use crate::asn1::DateTime;
use crate::certificate::Certificate;
use crate::cms;
use crate::error::Error;
use crate::key::PrivateKey;

/// `EFI_CERT_X509_GUID`
const X509: Uuid = uuid::uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
/// `EFI_CERT_TYPE_PKCS7_GUID`
const PKCS7: Uuid = uuid::uuid!("4aafd29d-68df-49ee-8aa9-347d375665a7");
/// `EFI_GLOBAL_VARIABLE`
const GLOBAL: Uuid = uuid::uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c");
/// `EFI_IMAGE_SECURITY_DATABASE_GUID`
const SECURITY_DATABASE: Uuid = uuid::uuid!("d719b2cb-3d3a-4596-a3bc-dad00e67656f");
/// Non-volatile, for boot services and at run time, with authentication by time.
const ATTRIBUTES: u32 = 0x27;
/// Bytes of the head of a signature list.
const LIST_HEAD: usize = 28;
/// Bytes of an owner's GUID.
const OWNER: usize = 16;
/// Bytes of a `WIN_CERTIFICATE_UEFI_GUID` without its data.
const CERTIFICATE_HEAD: usize = 24;
/// `WIN_CERT_REVISION_2_0`
const REVISION: u16 = 0x0200;
/// `WIN_CERT_TYPE_EFI_GUID`
const EFI_GUID: u16 = 0x0ef1;

/// A variable that says whom firmware trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variable {
    /// The platform key: who may change KEK.
    Pk,
    /// The key exchange keys: who may change db.
    Kek,
    /// The signature database: whose images start.
    Db,
}

impl Variable {
    /// All of them, from the one that is trusted most.
    pub const ALL: [Self; 3] = [Self::Pk, Self::Kek, Self::Db];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pk => "PK",
            Self::Kek => "KEK",
            Self::Db => "db",
        }
    }

    fn vendor(self) -> Uuid {
        match self {
            Self::Pk | Self::Kek => GLOBAL,
            Self::Db => SECURITY_DATABASE,
        }
    }

    /// Which variable's key signs updates of this one.
    #[must_use]
    pub fn signer(self) -> Self {
        match self {
            Self::Pk | Self::Kek => Self::Pk,
            Self::Db => Self::Kek,
        }
    }
}

/// Certificates with their owner, one list each: the content of a variable.
///
/// # Errors
/// When a certificate is larger than a list can hold.
pub fn signature_lists(owner: Uuid, certificates: &[Certificate]) -> Result<Vec<u8>, Error> {
    let mut lists = Vec::new();
    for certificate in certificates {
        let der = certificate.der();
        let too_large = |_| Error::Certificate {
            subject: certificate.subject(),
            reason: "is too large for a signature list".to_owned(),
        };
        let signature = u32::try_from(OWNER + der.len()).map_err(too_large)?;
        let list = u32::try_from(LIST_HEAD + OWNER + der.len()).map_err(too_large)?;
        lists.extend(X509.to_bytes_le());
        lists.extend(list.to_le_bytes());
        lists.extend([0; 4]);
        lists.extend(signature.to_le_bytes());
        lists.extend(owner.to_bytes_le());
        lists.extend_from_slice(der);
    }
    Ok(lists)
}

/// A signed update that sets a variable to signature lists. Firmware takes it when
/// `seconds` (since 1970) are more than in the update that it took last.
///
/// # Errors
/// When the time cannot be written, or the key is not the certificate's.
pub fn signed_update(
    variable: Variable,
    seconds: u64,
    lists: &[u8],
    key: &PrivateKey,
    certificate: &Certificate,
) -> Result<Vec<u8>, Error> {
    let time = efi_time(seconds)?;
    let mut message: Vec<u8> = variable
        .name()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    message.extend(variable.vendor().to_bytes_le());
    message.extend(ATTRIBUTES.to_le_bytes());
    message.extend(time);
    message.extend_from_slice(lists);
    // Without a ContentInfo around it: older EDK2 looks for the digest algorithm at a
    // fixed offset, and refuses what has one.
    let pkcs7 = cms::detached(&message, key, certificate)?;
    let length = u32::try_from(CERTIFICATE_HEAD + pkcs7.len())
        .map_err(|_| Error::SignedData("is too large for a variable".to_owned()))?;
    let mut update = time.to_vec();
    update.extend(length.to_le_bytes());
    update.extend(REVISION.to_le_bytes());
    update.extend(EFI_GUID.to_le_bytes());
    update.extend(PKCS7.to_bytes_le());
    update.extend(pkcs7);
    update.extend_from_slice(lists);
    Ok(update)
}

/// An `EFI_TIME`, of which updates use everything down to the second.
fn efi_time(seconds: u64) -> Result<[u8; 16], Error> {
    let date = DateTime::from_unix_duration(std::time::Duration::from_secs(seconds))
        .map_err(|_| Error::SignedData("would have a date after 9999".to_owned()))?;
    let [low, high] = date.year().to_le_bytes();
    let (month, day) = (date.month(), date.day());
    let (hour, minute, second) = (date.hour(), date.minutes(), date.seconds());
    let mut time = [0; 16];
    time[..7].copy_from_slice(&[low, high, month, day, hour, minute, second]);
    Ok(time)
}

#[cfg(test)]
mod tests;
