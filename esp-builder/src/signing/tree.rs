//! Signing all that firmware checks of a plan, before there is anything on a disk.
//!
//! What kind a file is plays no part: every image that may have a signature gets one. A
//! signed file is put together from the original and a few bytes, so that it shares the
//! rest with it wherever it goes. It keeps its name: whatever refers to it needs no
//! change, and one rename makes the old one the new one.

use std::collections::BTreeMap;

use tree_manifest::SignatureState;

use crate::assembled::Assembled;
use crate::error::Error;
use crate::live::changes::Place;
use crate::parallel;
use crate::plan::{PlannedFile, Recipe, TreePlan};
use crate::signing::earlier::Earlier;
use crate::signing::{Method, OpenImage, Signer};

/// Gives every image of a plan a signature, unless its signer has made one before: in
/// the image as it is, or in what `earlier` knows.
///
/// # Errors
/// When an image cannot be read, or cannot be signed.
pub fn sign(plan: &mut TreePlan, signer: &Signer, earlier: &Earlier<'_>) -> Result<(), Error> {
    let images: Vec<_> = images(plan, earlier).into_iter().collect();
    let looked_at = parallel::map(&images, |(image, places)| {
        look(image, places, signer, earlier)
    })?;
    let finish = |found: &Found| match found {
        Found::Signed(image) => Ok(image.clone()),
        Found::Unsigned(image) => {
            let signature = signer.sign(&image.measured.sha256)?;
            image.signed(&[signature])
        }
    };
    let finished = match signer.method {
        Method::Key(_) => parallel::map(&looked_at, finish)?,
        // A token does one thing at a time, and may ask somebody to touch it.
        Method::Command(_) => looked_at.iter().map(finish).collect::<Result<_, _>>()?,
    };
    for ((image, places), signed) in images.into_iter().zip(finished) {
        for (role, path) in places {
            let tree = plan.trees.get_mut(&role);
            let Some(file) = tree.and_then(|tree| tree.get_mut(&path)) else {
                unreachable!("the place was found in the plan");
            };
            if signed.map != image.map {
                file.recipe = Recipe::Assembled(signed.clone());
            }
            file.provenance.signature = Some(SignatureState::Signed);
        }
    }
    Ok(())
}

/// What is known of an image.
enum Found {
    /// It has the signature that it will have.
    Signed(Assembled),
    /// It waits for one.
    Unsigned(OpenImage),
}

/// The images of a plan, each with all its places.
fn images(plan: &TreePlan, earlier: &Earlier<'_>) -> BTreeMap<Assembled, Vec<Place>> {
    let mut images: BTreeMap<Assembled, Vec<Place>> = BTreeMap::new();
    for (role, tree) in &plan.trees {
        for (path, file) in tree {
            let place = (role.clone(), path.clone());
            let image = assembled(file).filter(|_| !earlier.settled.contains(&place));
            if let Some(image) = image {
                images.entry(image).or_default().push(place);
            }
        }
    }
    images
}

/// A file that may have a signature, as it is put together.
fn assembled(file: &PlannedFile) -> Option<Assembled> {
    file.provenance.signature?;
    match &file.recipe {
        Recipe::Copy { from, size } => Some(Assembled::of_file(from, *size)),
        Recipe::Assembled(assembled) => Some(assembled.clone()),
        Recipe::Text(_) | Recipe::Secret(_) => None,
    }
}

fn look(
    image: &Assembled,
    places: &[Place],
    signer: &Signer,
    earlier: &Earlier<'_>,
) -> Result<Found, Error> {
    let name = image.name(&places[0]);
    if let Some(signed) = earlier.signed(image, &name, signer)? {
        return Ok(Found::Signed(signed));
    }
    let image = OpenImage::of(image.clone(), &name)?;
    if signer.has_signed(&image.measured) {
        return image.signed(&[]).map(Found::Signed);
    }
    match earlier.signature(places, &image.measured, signer) {
        Some(signature) => image.signed(&[signature]).map(Found::Signed),
        None => Ok(Found::Unsigned(image)),
    }
}
