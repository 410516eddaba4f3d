//! Whether a model and a set of images go together.

use gannet::{Backend, Gan, GanConfig, presets};
use gannet_data::{DataSet, ImageShape, Images};

use crate::error::{Error, Result};

/// The shape of the images that a model is for, if they are images.
pub(crate) fn images_of(config: &GanConfig) -> Result<Option<ImageShape>> {
    let (_, discriminator) = models(config)?;
    Ok(match *discriminator.input().dims() {
        [height, width, channels] => Some(ImageShape { height, width, channels }),
        _ => None,
    })
}

/// The networks. A learning rate that decays does not need to know yet how long the run is.
fn models(config: &GanConfig) -> gannet::Result<(gannet::Model, gannet::Model)> {
    config.clone().steps(config.steps.or(Some(1))).build()
}

/// The classes of the images that a model is told, if it is told any.
pub(crate) fn told_classes(config: &GanConfig) -> Result<Option<usize>> {
    let (generator, discriminator) = models(config)?;
    let told = generator.classes().or(discriminator.classes());
    Ok(told.and_then(|told| config.classes_among(told)))
}

/// Errors unless the model is one for these images, and says what would be.
pub(crate) fn check_fit<B: Backend>(gan: &Gan<B>, data: &DataSet) -> Result<()> {
    check_fit_images(gan, &data.name(), data.images().as_ref())
}

/// The same for images that are called `name`.
pub(crate) fn check_fit_images<B: Backend>(gan: &Gan<B>, name: &str, images: &dyn Images) -> Result<()> {
    check(&gan.config().name, gan.image_shape().dims(), gan.classes(), name, images)
}

fn check(model: &str, made: &[usize], classes: Option<usize>, name: &str, data: &dyn Images) -> Result<()> {
    let ImageShape { height, width, channels } = data.shape();
    if made != [height, width, channels] {
        let mut ways = Vec::new();
        if let &[h, w, c @ (1 | 3 | 4)] = made {
            let mut flags = Vec::new();
            if (h, w) != (height, width) {
                flags.push(if h == w {
                    format!("--image-size {h}")
                } else {
                    format!("--image-size {w}x{h}")
                });
            }
            if c != channels {
                flags.push(format!("--channels {c}"));
            }
            ways.push(format!("{} makes images that fit", flags.join(" ")));
        }
        let presets = fitting_presets(data);
        if !presets.is_empty() {
            ways.push(format!("the presets for these images are {}", presets.join(", ")));
        }
        let ways = if ways.is_empty() { String::new() } else { format!("; {}", ways.join("; ")) };
        return Err(Error::failure(format!(
            "{model} is for images of {}, {name} has {height}x{width}x{channels}{ways}",
            made.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
        )));
    }
    match (classes, data.classes()) {
        (Some(classes), None) => {
            let presets = fitting_presets(data);
            let ways = if presets.is_empty() {
                String::new()
            } else {
                format!("; presets without classes are {}", presets.join(", "))
            };
            Err(Error::failure(format!(
                "{model} has {classes} classes, the images of {name} have none{ways}"
            )))
        }
        (Some(classes), Some(found)) if classes != found => {
            Err(Error::failure(format!("{model} has {classes} classes, {name} has {found}")))
        }
        _ => Ok(()),
    }
}

/// The names of the presets for images of this shape, and without classes where the images have none.
fn fitting_presets(data: &dyn Images) -> Vec<&'static str> {
    let ImageShape { height, width, channels } = data.shape();
    let fits = |name: &&str| {
        let Ok(config) = presets::get(name) else { return false };
        let Ok((generator, discriminator)) = models(&config) else { return false };
        let told = generator.classes().or(discriminator.classes());
        let conditional = told.and_then(|told| config.classes_among(told)).is_some();
        discriminator.input().dims() == [height, width, channels]
            && (!conditional || data.classes().is_some())
    };
    presets::names().filter(fits).collect()
}

/// The configuration with as many classes as the images have, where it has classes and they are others.
pub(crate) fn fit_classes(config: GanConfig, data: &DataSet) -> Result<GanConfig> {
    let Some(model) = told_classes(&config)? else { return Ok(config) };
    let Some(classes) = data.classes().filter(|&classes| classes != model) else { return Ok(config) };
    let unnamed = config.clone().class_names([""; 0]);
    let mut table: toml::Table = unnamed.to_toml()?.parse().map_err(Error::failure)?;
    table.iter_mut().for_each(|(_, value)| set_classes(value, classes * config.clusters));
    if config.auxiliary != 0.0 {
        set_logits(&mut table, 1 + model * config.clusters, 1 + classes * config.clusters);
    }
    GanConfig::from_toml(&toml::to_string(&table).map_err(Error::failure)?).map_err(|e| {
        let name = data.name();
        Error::failure(format!("{} cannot be made for the {classes} classes of {name}: {e}", config.name))
    })
}

/// Writes the names of the images' classes, where they have names, into the configuration of a model that is told classes.
pub(crate) fn name_classes(config: &mut GanConfig, data: &DataSet) -> Result<()> {
    let names = &data.record().class_names;
    let told = told_classes(config)?.unwrap_or(0);
    if names.len() == told {
        config.class_names.clone_from(names);
    } else if config.class_names.len() != told {
        config.class_names.clear();
    }
    Ok(())
}

/// Sets the units of the dense layer that a discriminator ends in, a score and a logit for each class, from `before` to `after`.
fn set_logits(model: &mut toml::Table, before: usize, after: usize) {
    let layers = model.get_mut("discriminator").and_then(|network| network.get_mut("layers"));
    let last = layers.and_then(|layers| layers.as_array_mut()).and_then(|layers| layers.last_mut());
    let units = last.and_then(|layer| layer.get_mut("dense")).and_then(|dense| dense.get_mut("units"));
    if let Some(units) = units.filter(|units| units.as_integer() == Some(before as i64)) {
        *units = toml::Value::Integer(after as i64);
    }
}

/// Sets every key `classes` in a value.
fn set_classes(value: &mut toml::Value, classes: usize) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                match value {
                    toml::Value::Integer(number) if key == "classes" => *number = classes as i64,
                    value => set_classes(value, classes),
                }
            }
        }
        toml::Value::Array(values) => values.iter_mut().for_each(|value| set_classes(value, classes)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gannet_data::LabelledImages;

    use super::*;

    fn data(side: usize, channels: usize, classes: Option<usize>) -> DataSet {
        let shape = ImageShape { height: side, width: side, channels };
        let pixels = vec![0; shape.len()];
        let images = match classes {
            Some(classes) => LabelledImages::labelled(shape, pixels, vec![0], classes),
            None => LabelledImages::unlabelled(shape, pixels),
        };
        DataSet::of_images("pictures", Arc::new(images))
    }

    #[test]
    fn the_classes_of_a_preset_become_those_of_the_data_and_keep_their_parts() {
        let config = presets::get("cdcgan").unwrap();
        let told = |config: &GanConfig| models(config).unwrap().0.classes();
        let parts = config.clusters;
        assert!(parts > 1 && told(&config) == Some(10 * parts), "{parts}");
        let same = fit_classes(config.clone(), &data(28, 1, Some(10))).unwrap();
        assert_eq!(same.to_toml().unwrap(), config.to_toml().unwrap());
        assert_eq!(told(&fit_classes(config, &data(28, 1, Some(7))).unwrap()), Some(7 * parts));
        // Parts of a whole set are no classes.
        let clustered = presets::get("clustered").unwrap();
        let parts = clustered.clusters;
        assert_eq!(told(&fit_classes(clustered, &data(28, 1, Some(7))).unwrap()), Some(parts));
    }

    fn of(model: &str, classes: Option<usize>, data: &DataSet) -> Result<()> {
        check(model, &[28, 28, 1], classes, &data.name(), data.images().as_ref())
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        for (data, parts) in [
            (
                data(32, 3, Some(10)),
                &["pictures has 32x32x3", "--image-size 28 --channels 1 makes", "cdcgan-32"][..],
            ),
            (data(28, 3, None), &["28x28x3", "; --channels 1 makes", "presets for these images are colour"]),
            (data(28, 1, None), &["pictures have none", "presets without classes are dcgan"]),
            (data(28, 1, Some(3)), &["10 classes", "pictures has 3"]),
        ] {
            let message = of("cdcgan", Some(10), &data).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
        of("cdcgan", Some(10), &data(28, 1, Some(10))).unwrap();
        of("dcgan", None, &data(28, 1, Some(3))).unwrap();
        of("dcgan", None, &data(28, 1, None)).unwrap();
    }

    #[test]
    fn conditional_presets_take_the_classes_of_the_images() {
        let config = presets::get("cdcgan").unwrap();
        let (generator, _) = models(&fit_classes(config, &data(28, 1, Some(3))).unwrap()).unwrap();
        assert_eq!(generator.classes(), Some(3 * 16), "three classes of sixteen parts");
        let config = presets::get("dcgan").unwrap();
        assert_eq!(models(&fit_classes(config, &data(28, 1, Some(3))).unwrap()).unwrap().0.classes(), None);
        // An auxiliary classifier has a logit for each.
        let config = fit_classes(presets::get("acgan").unwrap(), &data(28, 1, Some(3))).unwrap();
        assert_eq!(models(&config).unwrap().1.output().dims(), [4]);
    }
}
