//! Generations and kernels as boot entries.

use std::path::{Path, PathBuf};

use bootloaders::pe::{self, PeImage};
use bootloaders::{Arch, BootEntry, BootFile, EntryId, Hypervisor, Line};

use crate::error::Error;
use crate::generation::{Generation, GenerationSet, describe};
use crate::settings::{KernelInput, Settings};
use crate::source::{Need, Sources, read_head};

/// What sorts the entries of NixOS when a generation says nothing else.
const SORT_KEY: &str = "nixos";

/// An entry for each generation, in their order.
///
/// # Errors
/// When a file is missing, when a kernel cannot boot or is of another
/// architecture than its system, or when a text cannot stand in an entry.
pub fn of_generations(
    generations: &GenerationSet,
    settings: &Settings,
    sources: &mut Sources,
) -> Result<Vec<BootEntry>, Error> {
    let systems = generations.as_slice().iter().map(|it| &it.system);
    let files = systems.flat_map(|system| {
        let others = [system.initrd.as_ref(), system.devicetree.as_ref()];
        others.into_iter().flatten().chain([&system.kernel])
    });
    sources.read_ahead(files.map(PathBuf::as_path));
    let entries = generations.as_slice().iter();
    entries
        .map(|generation| of_generation(generation, settings, sources))
        .collect()
}

/// The entry of a kernel without a generation.
///
/// # Errors
/// As [`of_generations`].
pub fn of_kernel(input: &KernelInput, sources: &mut Sources) -> Result<BootEntry, Error> {
    let whose = format!("`{}`", input.title);
    let need = |what| Need {
        whose: &whose,
        what,
    };
    let kernel = sources.host_file(&input.kernel, need("kernel"))?;
    let arch = kernel_arch(&kernel, sources, &whose)?;
    if let Some(wanted) = input.arch.filter(|wanted| *wanted != arch) {
        return Err(wrong_architecture(&kernel, &whose, wanted.suffix(), arch));
    }
    let initrds = input.initrds.iter();
    Ok(BootEntry {
        id: EntryId::Kernel(input.name.clone()),
        title: input.title.clone(),
        version: None,
        sort_key: None,
        arch,
        initrds: initrds
            .map(|path| sources.host_file(path, need("initrd")))
            .collect::<Result<_, _>>()?,
        secrets: None,
        extra_initrds: Vec::new(),
        cmdline: input.cmdline.clone(),
        devicetree: None,
        hypervisor: None,
        kernel,
    })
}

fn of_generation(
    generation: &Generation,
    settings: &Settings,
    sources: &mut Sources,
) -> Result<BootEntry, Error> {
    let whose = describe(&generation.id);
    let system = &generation.system;
    let need = |what| Need {
        whose: &whose,
        what,
    };
    let kernel = sources.document_file(&system.kernel, need("kernel"))?;
    let arch = kernel_arch(&kernel, sources, &whose)?;
    if arch != system.arch {
        return Err(wrong_architecture(&kernel, &whose, &system.system, arch));
    }
    let mut optional = |path: Option<&PathBuf>, what| {
        path.map(|path| sources.document_file(path, need(what)))
            .transpose()
    };
    let hypervisor = match &system.xen {
        Some(xen) => optional(xen.efi.as_ref(), "hypervisor")?.map(|file| Hypervisor {
            file,
            cmdline: xen.cmdline.clone(),
        }),
        None => None,
    };
    Ok(BootEntry {
        id: EntryId::Generation(generation.id.clone()),
        title: title(generation, settings, &whose)?,
        version: Some(version(generation, settings, &whose)?),
        sort_key: Some(match &system.sort_key {
            Some(key) => key.clone(),
            None => line(SORT_KEY, &whose, "sort key")?,
        }),
        arch,
        kernel,
        initrds: optional(system.initrd.as_ref(), "initrd")?
            .into_iter()
            .collect(),
        secrets: None,
        extra_initrds: system.extra_initrds.clone(),
        cmdline: system.cmdline.clone(),
        devicetree: optional(system.devicetree.as_ref(), "device tree")?,
        hypervisor,
    })
}

/// `DISTRO[ [PROFILE]][ (SPECIALISATION)]`, as nixpkgs has it.
fn title(generation: &Generation, settings: &Settings, whose: &str) -> Result<Line, Error> {
    let id = &generation.id;
    let mut parts = vec![settings.distro_name.to_string()];
    parts.extend(id.profile.as_ref().map(|name| format!("[{name}]")));
    parts.extend(id.specialisation.as_ref().map(|name| format!("({name})")));
    line(&parts.join(" "), whose, "title")
}

/// `Generation N LABEL[, built on DATE]`, as nixpkgs has it.
fn version(generation: &Generation, settings: &Settings, whose: &str) -> Result<Line, Error> {
    let mut parts = vec![format!("Generation {}", generation.id.number)];
    parts.extend(generation.system.label.as_ref().map(Line::to_string));
    let mut text = parts.join(" ");
    if let Some(date) = generation.date.as_ref().or(settings.date.as_ref()) {
        text = format!("{text}, built on {date}");
    }
    line(&text, whose, "version")
}

fn line(text: &str, whose: &str, what: &'static str) -> Result<Line, Error> {
    Line::new(text).map_err(|source| Error::Text {
        whose: whose.to_owned(),
        what,
        source,
    })
}

fn kernel_arch(kernel: &BootFile, sources: &Sources, whose: &str) -> Result<Arch, Error> {
    bootable(&kernel.source, sources.image(kernel), whose)
}

/// What a kernel runs on, from its own head.
///
/// # Errors
/// When firmware cannot start it.
pub(crate) fn bootable(path: &Path, image: Option<&PeImage>, whose: &str) -> Result<Arch, Error> {
    let application = image.filter(|image| image.efi_application);
    let arch = application.and_then(PeImage::arch);
    arch.ok_or_else(|| not_bootable(path, image, whose))
}

/// Why firmware cannot start a kernel; its head is read again for the reason.
fn not_bootable(path: &Path, image: Option<&PeImage>, whose: &str) -> Error {
    let head = match read_head(path) {
        Ok(head) => head,
        Err(source) => {
            let what = "kernel";
            return Need { whose, what }.missing(path, source);
        }
    };
    let reason = match image {
        Some(image) if image.efi_application => {
            let machine = image.machine;
            format!("PE machine type {machine:#06x} is none of UEFI's")
        }
        Some(_) => "its PE subsystem is another".to_owned(),
        None => match PeImage::parse(&head) {
            Err(error) => error.to_string(),
            Ok(_) => "it changed while it was read".to_owned(),
        },
    };
    Error::NotBootable {
        whose: whose.to_owned(),
        path: path.into(),
        reason,
        is_linux: pe::is_linux(&head),
    }
}

fn wrong_architecture(kernel: &BootFile, whose: &str, wanted: &str, found: Arch) -> Error {
    Error::WrongArchitecture {
        whose: whose.to_owned(),
        wanted: wanted.to_owned(),
        found: found.to_string(),
        path: kernel.source.clone(),
    }
}
