//! What is exported is what a model does.

use gannet::export::{Part, Signature, onnx, test_vectors, torch};
use gannet::layers::{Dense, Label, Projection};
use gannet::{Gan, GanConfig, Reference, Sequential};

/// A GAN whose generator is told `told` labels, each class in two clusters.
fn clustered(told: usize) -> Gan<Reference<f32>> {
    let generator = Sequential::new("generator", [3]).add(Label::new(told)).add(Dense::new(2));
    let discriminator = Sequential::new("discriminator", [2]).add(Dense::new(4)).add(Projection::new(told));
    Gan::new(&Reference::new(), GanConfig::new(generator, discriminator).clusters(2)).unwrap()
}

/// Test vectors ask for classes of the data, and hold what `generate` makes of them.
#[test]
fn vectors_are_what_generate_makes() {
    for (told, classes) in [(6, Some(3)), (2, None)] {
        let mut gan = clustered(told);
        let signature = Signature::of(&gan, Part::Generator);
        assert_eq!((signature.labels, signature.clusters), (classes, 2));
        assert_eq!(Signature::of(&gan, Part::Discriminator).labels, Some(told));
        let vectors = test_vectors(&gan, Part::Generator, 12, 5).unwrap();
        let values = |name: &str| {
            let tensor = vectors.iter().find(|tensor| tensor.name == name)?;
            Some(tensor.values.to::<f32>())
        };
        let labels: Option<Vec<u32>> = values("labels").map(|x| x.iter().map(|x| *x as u32).collect());
        assert_eq!(
            labels.as_ref().map(|labels| labels.iter().max().copied()),
            classes.map(|n| Some(n as u32 - 1))
        );
        let latents = values("latents").unwrap();
        // Both clusters are among them.
        let above = latents.chunks_exact(3).filter(|latent| latent[2] > 0.0).count();
        assert!((1..12).contains(&above), "{latents:?}");
        assert_eq!(gan.generate(&latents, labels.as_deref()).unwrap(), values("images").unwrap());

        let text = torch::export(&gan, Part::Generator, "g.safetensors").unwrap().class;
        let (arguments, label) = match classes {
            Some(_) => ("forward(self, latents, labels)", "labels = labels * 2 + torch.bucketize("),
            None => ("forward(self, latents)", "labels = torch.bucketize("),
        };
        assert!(text.contains(arguments) && text.contains(label), "{text}");
        let bytes = onnx::export(&gan, Part::Generator).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert_eq!(holds("whole numbers from 0 to 2"), classes.is_some());
        assert!(holds("the last of the 3 latents chooses one of 2 clusters"));
    }
}
