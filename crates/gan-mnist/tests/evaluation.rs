//! The metrics on digits: what must make a score worse does, and what must not does not.

use std::sync::OnceLock;

use gan_mnist::evaluation::ClassifierFile;
use gannet::metrics::{
    ClassHistogram, Classified, Features, FrechetStatistics, Kid, KidOptions, Manifold, Prdc,
};
use gannet::random::Stream;
use gannet_cpu::Cpu;
use gannet_data::sets::mnist;
use gannet_data::{LabelledImages, Split};

const SIDE: usize = 28;
const SIZE: usize = SIDE * SIDE;
/// Images in each set.
const COUNT: usize = 1500;

struct Sets {
    train: LabelledImages,
    test: LabelledImages,
}

fn sets() -> &'static Sets {
    static SETS: OnceLock<Sets> = OnceLock::new();
    SETS.get_or_init(|| Sets {
        train: mnist::load(Split::Train).unwrap(),
        test: mnist::load(Split::Test).unwrap(),
    })
}

fn classify(images: &[u8]) -> Classified {
    ClassifierFile::embedded().load(&Cpu::new().unwrap()).unwrap().classify(images).unwrap()
}

fn test_images() -> &'static [u8] {
    &sets().test.pixels()[..COUNT * SIZE]
}

/// The Frechet distance of `images` from the test images, in classifier features.
fn distance(images: &[u8]) -> f64 {
    static REFERENCE: OnceLock<FrechetStatistics> = OnceLock::new();
    let reference =
        REFERENCE.get_or_init(|| FrechetStatistics::of(&classify(test_images()).features).unwrap());
    FrechetStatistics::of(&classify(images).features).unwrap().distance(reference).unwrap()
}

fn prdc(images: &[u8]) -> Prdc {
    let manifold = |images: &[u8]| Manifold::new(classify(images).features, 5).unwrap();
    Prdc::between(&manifold(test_images()), &manifold(images)).unwrap()
}

/// Changes each image of a copy of the first training images; `number` fixes its random numbers.
fn changed(change: impl Fn(&mut [u8], &mut Stream)) -> Vec<u8> {
    let mut images = sets().train.pixels()[..COUNT * SIZE].to_vec();
    for (number, image) in images.chunks_exact_mut(SIZE).enumerate() {
        change(image, &mut Stream::new(1, "corruption", number as u64));
    }
    images
}

fn gaussian_noise(image: &mut [u8], strength: f64, stream: &mut Stream) {
    for byte in image {
        *byte = (f64::from(*byte) + 255.0 * strength * stream.normal()) as u8;
    }
}

/// Passes of a 3 by 3 mean.
fn blur(image: &mut [u8], passes: usize) {
    for _ in 0..passes {
        let before = image.to_vec();
        for (k, byte) in image.iter_mut().enumerate() {
            let (y, x) = (k / SIDE, k % SIDE);
            let sum: u32 = (y.saturating_sub(1)..(y + 2).min(SIDE))
                .flat_map(|y| before[y * SIDE..][x.saturating_sub(1)..(x + 2).min(SIDE)].iter())
                .map(|&b| u32::from(b))
                .sum();
            *byte = (sum / 9) as u8;
        }
    }
}

/// A black square at a random place.
fn black_square(image: &mut [u8], side: usize, stream: &mut Stream) {
    let mut place = || stream.below((SIDE - side + 1) as u32) as usize;
    let (top, left) = (place(), place());
    for row in image.chunks_exact_mut(SIDE).skip(top).take(side) {
        row[left..left + side].fill(0);
    }
}

/// Turns pixels around the centre, the further in the more, up to `angle` radians.
fn swirl(image: &mut [u8], angle: f64) {
    let before = image.to_vec();
    let centre = (SIDE - 1) as f64 / 2.0;
    for (k, byte) in image.iter_mut().enumerate() {
        let (dy, dx) = ((k / SIDE) as f64 - centre, (k % SIDE) as f64 - centre);
        let (sin, cos) = (angle * (-dy.hypot(dx) / 8.0).exp()).sin_cos();
        let place = |x: f64| (centre + x).round().clamp(0.0, (SIDE - 1) as f64) as usize;
        *byte = before[place(cos * dy - sin * dx) * SIDE + place(sin * dy + cos * dx)];
    }
}

/// A share of pixels becomes black or white.
fn salt_and_pepper(image: &mut [u8], share: f64, stream: &mut Stream) {
    for byte in image {
        if stream.uniform(0.0, 1.0) < share {
            *byte = if stream.uniform(0.0, 1.0) < 0.5 { 0 } else { 255 };
        }
    }
}

/// A share of the images becomes noise.
fn contamination(image: &mut [u8], share: f64, stream: &mut Stream) {
    if stream.uniform(0.0, 1.0) < share {
        image.fill_with(|| stream.below(256) as u8);
    }
}

#[test]
fn six_corruptions_raise_the_distance_the_more_the_stronger_they_are() {
    let floor = distance(&changed(|_, _| ()));
    let strengths = |name: &str, corrupt: &dyn Fn(&mut [u8], usize, &mut Stream)| {
        let mut last = floor;
        for strength in 1..=3 {
            let now = distance(&changed(|image, stream| corrupt(image, strength, stream)));
            assert!(now > 1.1 * last, "{name} of strength {strength}: {now} after {last}");
            last = now;
        }
    };
    strengths("gaussian noise", &|image, s, stream| gaussian_noise(image, 0.15 * s as f64, stream));
    strengths("blur", &|image, s, _| blur(image, s));
    strengths("black square", &|image, s, stream| black_square(image, 4 + 4 * s, stream));
    strengths("swirl", &|image, s, _| swirl(image, 0.7 * s as f64));
    strengths("salt and pepper", &|image, s, stream| salt_and_pepper(image, 0.07 * s as f64, stream));
    strengths("contamination", &|image, s, stream| contamination(image, 0.1 * s as f64, stream));
}

#[test]
fn training_images_score_the_floor() {
    let images = &sets().train.pixels()[..COUNT * SIZE];
    let noise = changed(|image, stream| image.fill_with(|| stream.below(256) as u8));
    let (real, fake) = (distance(images), distance(&noise));
    assert!(real > 0.0 && fake > 50.0 * real, "{real} {fake}");
    assert!(distance(test_images()).abs() < 1e-6 * fake);

    let real = prdc(images);
    for share in [real.precision, real.recall, real.density, real.coverage] {
        // Not quite 1 with so few images.
        assert!((0.8..1.1).contains(&share), "{real:?}");
    }
    assert!(prdc(&noise).precision < 0.05);

    let features = |images: &[u8]| -> Features { classify(images).features };
    let options = KidOptions { subsets: 20, subset_size: 500, seed: 0 };
    let kid = |images: &[u8]| Kid::between(&features(images), &features(test_images()), options).unwrap();
    assert!(kid(images).mean < 2.0 * kid(images).std && kid(&noise).mean > 20.0 * kid(images).std);
}

#[test]
fn a_dropped_class_lowers_coverage_and_shows_in_the_histogram() {
    let train = &sets().train;
    let digits = |keep: fn(u32) -> bool| -> Vec<u8> {
        let kept =
            train.pixels().chunks_exact(SIZE).zip(train.labels().unwrap()).filter(|(_, label)| keep(**label));
        kept.take(COUNT).flat_map(|(image, _)| image).copied().collect()
    };
    let (all, nine, one) = (digits(|_| true), digits(|label| label != 4), digits(|label| label == 4));
    let coverage = |images: &[u8]| prdc(images).coverage;
    let (of_all, of_nine, of_one) = (coverage(&all), coverage(&nine), coverage(&one));
    assert!(of_nine < of_all - 0.05 && of_one < 0.2, "{of_all} {of_nine} {of_one}");
    assert!(distance(&nine) > 2.0 * distance(&all) && distance(&one) > 5.0 * distance(&nine));

    let histogram = |images: &[u8]| ClassHistogram::new(&classify(images).classes, 10).unwrap();
    let reference = histogram(test_images());
    let divergence = |images: &[u8]| histogram(images).divergence_from(&reference).unwrap();
    assert!(histogram(&nine).shares()[4] < 0.01);
    assert!(divergence(&all) < 0.02 && divergence(&nine) > 0.06 && divergence(&one) > 1.5);
}
