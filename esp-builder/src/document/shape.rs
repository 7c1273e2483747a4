//! Which keys a bootspec document has, and of which type.
//!
//! The `bootspec` crate tries its versions one after another and says of none why
//! it did not fit; this looks first and names the key.

use serde_json::{Map, Value};

use super::Refusal;

const BOOTSPEC: &str = "org.nixos.bootspec.v1";
const SPECIALISATIONS: &str = "org.nixos.specialisation.v1";

/// The keys that every system has, besides `kernelParams`.
const REQUIRED: [&str; 5] = ["init", "kernel", "label", "system", "toplevel"];
/// Those that may be absent, or `null`.
const OPTIONAL: [&str; 2] = ["initrd", "initrdSecrets"];

/// Says what keeps a value from being a bootspec document of version 1.
pub(super) fn check(document: &Value) -> Result<(), Refusal> {
    let Value::Object(document) = document else {
        return Err(Refusal::new("not a JSON object"));
    };
    if document.contains_key("v1") && !document.contains_key(BOOTSPEC) {
        return Err(Refusal::with_hint(
            "of the bootspec format before RFC 125 was accepted (`v1` instead of \
             `org.nixos.bootspec.v1`)",
            "rebuild the system with NixOS 23.05 or newer",
        ));
    }
    check_system(document)?;
    let Some(specialisations) = document.get(SPECIALISATIONS) else {
        return Ok(());
    };
    let Value::Object(specialisations) = specialisations else {
        return Err(Refusal::new(format!(
            "`{SPECIALISATIONS}` is not an object"
        )));
    };
    for (name, specialisation) in specialisations {
        let what = format!("specialisation `{}`", name.escape_debug());
        let Value::Object(specialisation) = specialisation else {
            return Err(Refusal::new("is not an object").inside(&what));
        };
        check_system(specialisation).map_err(|refusal| refusal.inside(&what))?;
    }
    Ok(())
}

fn check_system(document: &Map<String, Value>) -> Result<(), Refusal> {
    let null = document.iter().find(|(_, value)| value.is_null());
    if let Some((name, _)) = null {
        let name = name.escape_debug();
        return Err(Refusal::with_hint(
            format!("extension `{name}` is `null`, which RFC 125 does not allow"),
            "leave the extension out, or give it an object",
        ));
    }
    let spec = document
        .get(BOOTSPEC)
        .ok_or_else(|| missing_bootspec(document))?;
    let Value::Object(spec) = spec else {
        return Err(Refusal::new(format!("`{BOOTSPEC}` is not an object")));
    };
    for key in REQUIRED {
        match spec.get(key) {
            Some(Value::String(_)) => {}
            Some(_) => return Err(Refusal::new(format!("`{key}` is not a string"))),
            None => return Err(missing(key)),
        }
    }
    for key in OPTIONAL {
        if !matches!(spec.get(key), None | Some(Value::Null | Value::String(_))) {
            return Err(Refusal::new(format!("`{key}` is not a string")));
        }
    }
    match spec.get("kernelParams") {
        Some(Value::Array(parameters)) if parameters.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(Refusal::new("`kernelParams` is not a list of strings")),
        None => Err(missing("kernelParams")),
    }
}

fn missing_bootspec(document: &Map<String, Value>) -> Refusal {
    let other = document
        .keys()
        .find(|key| key.starts_with("org.nixos.bootspec."));
    match other {
        Some(other) => Refusal::with_hint(
            format!("`{}` instead of `{BOOTSPEC}`", other.escape_debug()),
            "this program reads version 1",
        ),
        None => Refusal::with_hint(
            format!("`{BOOTSPEC}` is missing"),
            "name the boot.json of a NixOS system",
        ),
    }
}

fn missing(key: &str) -> Refusal {
    let reason = format!("`{key}` is missing");
    match key {
        "kernel" => Refusal::with_hint(
            reason,
            "NixOS leaves it out when boot.kernel.enable is false; such a system has \
             nothing to boot",
        ),
        _ => Refusal::with_hint(reason, "RFC 125 requires it"),
    }
}
