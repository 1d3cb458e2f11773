//! The images that virtual boards can be given.

use super::{DefaultFirmware, FirmwareModel};
use crate::SimError;
use icefarm_core::{Face, ImageInfo, ImageName, Place};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// The image that every board holds at first.
const DEFAULT: &str = "default";

const DEFAULT_MODEL: FirmwareModel = FirmwareModel::of::<DefaultFirmware>(
    DEFAULT,
    Place::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), file!(), line!()),
);

/// A firmware image of virtual boards.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) info: ImageInfo,
    pub(crate) model: FirmwareModel,
}

impl Image {
    fn new(name: ImageName, model: FirmwareModel) -> Self {
        // A model has no bytes to be hashed. Where it comes from stands for them.
        let plugin = model.place.plugin();
        let identity = format!("virtual firmware\0{}\0{}\0{name}", plugin.name, plugin.version);
        let sha256 = crate::hex(&Sha256::digest(identity));
        Self { info: ImageInfo { name, sha256 }, model }
    }

    /// The face that a board shows while it runs the image.
    pub(crate) fn face(&self) -> Face {
        if self.info.name.as_str() == DEFAULT { Face::Default } else { Face::Application }
    }
}

/// All images of a program, the default one among them.
#[derive(Debug)]
pub(crate) struct Images {
    by_name: BTreeMap<ImageName, Arc<Image>>,
}

impl Images {
    /// The models of all linked crates.
    pub(crate) fn collect() -> Result<Self, SimError> {
        Self::of(inventory::iter::<FirmwareModel>().copied())
    }

    fn of(models: impl IntoIterator<Item = FirmwareModel>) -> Result<Self, SimError> {
        let mut by_name = BTreeMap::new();
        for model in [DEFAULT_MODEL].into_iter().chain(models) {
            let name = ImageName::new(model.name).map_err(|source| SimError::ImageName {
                name: model.name,
                place: model.place,
                source,
            })?;
            match by_name.entry(name.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(Arc::new(Image::new(name, model)));
                }
                Entry::Occupied(entry) => {
                    // The linker gives no order: sorted, the message is the same every time.
                    let mut places = Box::new([entry.get().model.place, model.place]);
                    places.sort();
                    return Err(SimError::DuplicateImage { name: model.name, places });
                }
            }
        }
        Ok(Self { by_name })
    }

    pub(crate) fn get(&self, name: &ImageName) -> Option<&Arc<Image>> {
        self.by_name.get(name)
    }

    pub(crate) fn default_image(&self) -> &Arc<Image> {
        self.by_name.get(DEFAULT).expect("the default image is the first that is registered")
    }

    /// The names, for people.
    pub(crate) fn names(&self) -> String {
        self.by_name.keys().map(ImageName::as_str).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn model(name: &'static str, line: u32) -> FirmwareModel {
        let place = Place::new("some-state", "1.2.3", "src/lib.rs", line);
        FirmwareModel::of::<DefaultFirmware>(name, place)
    }

    #[test]
    fn a_name_is_registered_once() {
        let images = Images::of([model("b", 1), model("a", 2)]).unwrap();
        assert_eq!(images.names(), "a, b, default");
        assert_eq!(
            Images::of([model("a", 2), model("a", 1)]).unwrap_err().to_string(),
            "two models are linked for the firmware image `a`: src/lib.rs:1 (some-state 1.2.3) and \
             src/lib.rs:2 (some-state 1.2.3); leave one of them out"
        );
        let error = Images::of([model("default", 1)]).unwrap_err().to_string();
        assert!(error.contains("(icefarm-sim "), "{error}");
        assert!(Images::of([model("", 1)]).is_err());
    }

    #[test]
    fn an_image_is_told_from_others_by_its_hash() {
        let images = Images::of([model("a", 1), model("b", 1)]).unwrap();
        let sha256 = |name| &images.by_name.get(name).unwrap().info.sha256;
        assert_eq!(sha256("a").len(), 64);
        assert_ne!(sha256("a"), sha256("b"));
        let elsewhere = Images::of([model("a", 9)]).unwrap();
        assert_eq!(*sha256("a"), elsewhere.by_name.get("a").unwrap().info.sha256);
    }
}
