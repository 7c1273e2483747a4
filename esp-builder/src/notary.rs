//! The commands that make keys and signatures.
#![expect(clippy::disallowed_methods, reason = "new keys begin today")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use esp_builder::signing::{self, Method, OpenImage, Outcome, Signer, key_file, keyring, offline};
use esp_builder::uki::{PcrPolicy, PcrSigner};
use secure_boot::certificate::Certificate;
use secure_boot::variable::Variable;
use serde_json::json;

use crate::cli::Flags;
use crate::cli::measure::PolicyArgs;
use crate::cli::signing::{KeysArgs, KeysCommand, SignArgs, SigningCommand};
use crate::failure::Failure;
use crate::installer::DIFFERENT;
use crate::report;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Runs one of the commands.
pub(crate) fn run(command: SigningCommand) -> Result<ExitCode, Failure> {
    match command {
        SigningCommand::Keys(KeysCommand::Generate(args)) => generate(&args),
        SigningCommand::Sign(args) => sign(&args),
        SigningCommand::Signatures {
            image,
            certificate,
            json,
        } => return signatures(&image, &certificate, json),
        SigningCommand::Digests { out, to } => digests(&out, to.as_deref()),
        SigningCommand::Attach {
            out,
            signatures,
            certificate,
        } => attach(&out, &signatures, certificate.as_deref()),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn generate(args: &KeysArgs) -> Result<(), Failure> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = args
        .timestamp
        .unwrap_or(clock.map_or(0, |time| time.as_secs()));
    let others = BTreeMap::from([
        (Variable::Kek, load_all(&args.add_kek)?),
        (Variable::Db, load_all(&args.add_db)?),
    ]);
    let wishes = keyring::Wishes {
        common_name: args.common_name.clone(),
        owner: args.owner,
        bits: args.bits,
        now,
        not_after: now.saturating_add(u64::from(args.days) * DAY),
        others,
    };
    let keyring = keyring::generate(&args.directory, &wishes)?;
    let mut text = format!("keys of {}\n", keyring.owner);
    for file in &keyring.files {
        let _ = writeln!(text, "  {}", file.display());
    }
    print(&text)
}

fn sign(args: &SignArgs) -> Result<(), Failure> {
    let method = method(
        args.key.as_deref(),
        args.sign_command.as_deref(),
        &args.store_dir,
    )?;
    let Some(method) = method else {
        return Err(Failure::Usage("--key or --sign-command".to_owned()));
    };
    let signer = Signer {
        method,
        certificates: signing::load_certificates(&args.certificate)?,
    };
    let outcome = signing::sign_file(&args.image, &signer, &args.output)?;
    if args.quiet {
        return Ok(());
    }
    let output = args.output.display();
    print(&match outcome {
        Outcome::Signed => format!("signed {output}\n"),
        Outcome::AlreadySigned => format!("{output} carried this signature already\n"),
    })
}

/// What makes signatures: a key, which no store may hold, or a command.
fn method(
    key: Option<&Path>,
    command: Option<&str>,
    store_dir: &Path,
) -> Result<Option<Method>, Failure> {
    Ok(match (key, command) {
        (Some(key), _) => Some(Method::Key(Box::new(key_file::load(key, store_dir)?))),
        (None, Some(command)) => Some(Method::Command(command.to_owned())),
        (None, None) => None,
    })
}

/// Who signs whatever firmware starts, if anybody does.
pub(crate) fn signer(flags: &Flags) -> Result<Option<Signer>, Failure> {
    let (key, command) = (&flags.secure_boot_key, &flags.sign_command);
    if key.is_some() && command.is_some() {
        // clap sees it on a command line, not in a file.
        let message = "secure-boot-key and sign-command exclude each other";
        return Err(Failure::Usage(message.to_owned()));
    }
    let method = method(key.as_deref(), command.as_deref(), &flags.store_on_host())?;
    let certificates = load_all(&flags.secure_boot_certificate)?;
    let missing = |what: &str| Err(Failure::Usage(what.to_owned()));
    match method {
        None if certificates.is_empty() => Ok(None),
        None => missing("--secure-boot-certificate needs --secure-boot-key or --sign-command"),
        Some(_) if certificates.is_empty() => {
            missing("--secure-boot-key and --sign-command need --secure-boot-certificate")
        }
        Some(method) => Ok(Some(Signer {
            method,
            certificates,
        })),
    }
}

fn signatures(image: &Path, certificates: &[PathBuf], json: bool) -> Result<ExitCode, Failure> {
    let trusted = load_all(certificates)?;
    let image = OpenImage::open(image)?;
    let found = image.signatures(&trusted)?;
    let digest = secure_boot::hex(&image.measured.sha256);
    let trusts = |signature: &secure_boot::verify::Signature| {
        let root = signature.trusted.as_ref();
        root.map(Certificate::subject)
    };
    let text = if json {
        let list: Vec<_> = found
            .iter()
            .map(|it| json!({ "signer": it.signer.subject(), "trusted-through": trusts(it) }))
            .collect();
        format!("{}\n", json!({ "sha256": digest, "signatures": list }))
    } else {
        let mut text = format!("authenticode sha256 {digest}\n");
        for signature in &found {
            let _ = write!(text, "signed by {}", signature.signer.subject());
            let root = trusts(signature);
            let root = root.map(|root| format!(", trusted through {root}"));
            let _ = writeln!(text, "{}", root.unwrap_or_default());
        }
        if found.is_empty() {
            text.push_str("no signature\n");
        }
        text
    };
    print(&text)?;
    let wanted = certificates.is_empty() || found.iter().any(|it| it.trusted.is_some());
    Ok(if wanted {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENT)
    })
}

fn digests(out: &Path, to: Option<&Path>) -> Result<(), Failure> {
    let digests = offline::digests(out, to)?;
    let text = serde_json::to_string_pretty(&digests)
        .map_err(|error| Failure::Output(io::Error::other(error)))?;
    print(&format!("{text}\n"))
}

fn attach(out: &Path, signatures: &Path, certificate: Option<&Path>) -> Result<(), Failure> {
    let certificates = certificate.map(signing::load_certificates).transpose()?;
    let attached = offline::attach(out, signatures, &certificates.unwrap_or_default())?;
    for (role, path) in &attached.pending {
        report::warning(&format!("{role}: `{path}` still waits for a signature"));
    }
    let mut text = String::new();
    for (role, path) in &attached.signed {
        let _ = writeln!(text, "signed {role}: {path}");
    }
    print(&text)
}

/// Reads the keys that vouch for an image.
pub(crate) fn pcr_policy(args: &PolicyArgs) -> Result<PcrPolicy, Failure> {
    let keys = args.pcr_private_key.len();
    for (flag, count) in [
        ("--pcr-public-key", args.pcr_public_key.len()),
        ("--phases", args.phases.len()),
    ] {
        if count > keys {
            return Err(Failure::Usage(format!(
                "{flag} is given {count} times, and belongs to one of {keys} --pcr-private-key"
            )));
        }
    }
    let mut policy = PcrPolicy {
        banks: args.pcr_bank.clone(),
        signers: Vec::new(),
    };
    for (index, key) in args.pcr_private_key.iter().enumerate() {
        let signer = PcrSigner::load(
            key,
            args.pcr_public_key.get(index).map(PathBuf::as_path),
            &args.store_dir,
        )?;
        let phases = args.phases.get(index).map(|paths| paths.0.clone());
        policy.signers.push(PcrSigner {
            phases: phases.unwrap_or_default(),
            ..signer
        });
    }
    Ok(policy)
}

fn load_all(files: &[PathBuf]) -> Result<Vec<Certificate>, Failure> {
    let mut certificates = Vec::new();
    for file in files {
        certificates.extend(signing::load_certificates(file)?);
    }
    Ok(certificates)
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}
