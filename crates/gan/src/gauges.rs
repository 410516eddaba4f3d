//! What tells how a training step went, beside its losses.

use gannet_tensor::{Backend, Element, Program};

use crate::config::GanConfig;
use crate::error::{Error, Result};
use crate::gan::Gan;
use crate::losses::Terms;

/// What the discriminator said of the images of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdicts {
    /// The mean score of the real images: of logits, or of what a critic says.
    pub real: f64,
    /// The mean score of the generated images.
    pub fake: f64,
    /// The shares of the real and of the generated images that it judged rightly. With a relativistic loss both are the
    /// share of the pairs whose real image scored higher; a critic of a Wasserstein loss judges none.
    pub accuracy: Option<[f64; 2]>,
}

/// What tells how the last training step went.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Gauges {
    /// What the discriminator said, before its update.
    pub verdicts: Verdicts,
    /// The learning rates of generator and discriminator in that step, their schedule included.
    pub learning_rates: [f64; 2],
    /// For generator and discriminator the root mean square of the norm of the gradient, over about the last
    /// 1 / (1 - beta2) updates: the root of the sum of the optimiser's second moments, their bias corrected (beta2: their decay). A step itself is not
    /// made slower by it. `None` with an optimiser that keeps no second moment.
    pub gradient_norms: [Option<f64>; 2],
}

impl<B: Backend> Gan<B> {
    /// How the last training step went. Waits for the device. Errors before the first step that this `Gan` took itself.
    pub fn gauges(&mut self) -> Result<Gauges> {
        let Some(before) = self.step().checked_sub(1) else {
            return Err(Error::invalid("there are no scores before the first training step"));
        };
        let scores: Vec<f64> = self.scores_of(before)?.into_iter().map(B::Element::to_f64).collect();
        let config = self.config();
        let factor = config.schedule.factor(before, config.steps.unwrap_or(0));
        let optimisers = [&config.generator_optimiser, &config.discriminator_optimiser];
        let second_moments = optimisers.map(|optimiser| optimiser.second_moment());
        let updates = [
            before / config.discriminator_steps + 1,
            if config.separate_updates { 2 * before + 2 } else { before + 1 },
        ];
        let verdicts = Verdicts::of(config, &scores);
        let learning_rates = optimisers.map(|optimiser| optimiser.learning_rate() * factor);
        let sums = self.second_moments()?;
        let mut gradient_norms = [None, None];
        for k in 0..2 {
            if let (Some(moment), Some(sum)) = (second_moments[k], sums[k]) {
                let correction = 1.0 - moment.decay.powf(updates[k] as f64);
                gradient_norms[k] = Some((sum / correction).sqrt());
            }
        }
        Ok(Gauges { verdicts, learning_rates, gradient_norms })
    }
}

impl Verdicts {
    /// From the scores of as many real as generated images.
    fn of(config: &GanConfig, scores: &[f64]) -> Verdicts {
        let (real, fake) = scores.split_at(scores.len() / 2);
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let share = |right: usize| right as f64 / real.len() as f64;
        let apart = |threshold: f64| {
            let right =
                |x: &[f64], is: fn(&f64, &f64) -> bool| share(x.iter().filter(|x| is(x, &threshold)).count());
            [right(real, |x, t| x > t), right(fake, |x, t| x < t)]
        };
        let accuracy = match config.loss.terms() {
            Terms::Pointwise(loss) => loss.boundary(scores, config.real_target).map(apart),
            Terms::Paired(_) => {
                let pairs = share(real.iter().zip(fake).filter(|(real, fake)| real > fake).count());
                Some([pairs, pairs])
            }
        };
        Verdicts { real: mean(real), fake: mean(fake), accuracy }
    }
}

impl<B: Backend> Gan<B> {
    fn second_moments(&mut self) -> Result<[Option<f64>; 2]> {
        let config = self.config();
        let kept = [&config.generator_optimiser, &config.discriminator_optimiser]
            .map(|optimiser| optimiser.second_moment().is_some());
        let names = [self.generator().name().to_owned(), self.discriminator().name().to_owned()];
        let program: &mut Program<B> = self.gauge_program()?;
        program.run()?;
        let mut sums = [None, None];
        for k in 0..2 {
            if kept[k] {
                sums[k] = program.read(&names[k])?.first().map(|sum| sum.to_f64());
            }
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::{
        BceProbabilities, Hinge, LeastSquares, Loss, Minimax, NonSaturating, Relativistic, Wasserstein,
    };
    use crate::presets;
    use gannet_tensor::Reference;

    fn verdicts(loss: impl Into<Loss>, scores: &[f64]) -> Verdicts {
        let mut config = presets::get("dcgan").unwrap();
        config.loss = loss.into();
        Verdicts::of(&config, scores)
    }

    #[test]
    fn accuracy_is_what_each_loss_means_by_right() {
        let scores = [2.0, -1.0, 0.6, 0.4, -3.0, 0.2, 0.7, 0.1];
        let found = |loss: Loss| verdicts(loss, &scores).accuracy;
        for loss in [NonSaturating.into(), Minimax.into(), Hinge.into(), BceProbabilities.into()] {
            let name = format!("{loss:?}");
            assert_eq!(found(loss), Some([0.75, 0.25]), "{name}");
        }
        assert_eq!(found(LeastSquares.into()), Some([0.5, 0.75]));
        assert_eq!(found(Relativistic.into()), Some([0.5, 0.5]));
        assert_eq!(found(Wasserstein.into()), None);
        let found = verdicts(Wasserstein, &scores);
        assert!((found.real - 0.5).abs() < 1e-12 && (found.fake + 0.5).abs() < 1e-12, "{found:?}");
        let probabilities = verdicts(BceProbabilities, &[0.9, 0.4, 0.6, 0.1]);
        assert_eq!(probabilities.accuracy, Some([0.5, 0.5]));
    }

    /// The first moments after one update from zero are (1 - beta1) times the gradient.
    #[test]
    fn gradient_norms_are_those_of_the_first_step() {
        let text = r#"
            batch_size = 3
            generator = { input = [2], layers = [{ dense = { units = 4 } }] }
            discriminator = { input = [4], layers = [{ dense = { units = 1 } }] }
        "#;
        let mut gan = Gan::new(&Reference::<f64>::new(), GanConfig::from_toml(text).unwrap()).unwrap();
        assert!(gan.gauges().unwrap_err().to_string().contains("before the first"));
        let real: Vec<f64> = (0..12).map(|k| f64::from(k % 5) - 2.0).collect();
        gan.train_on_batch(&real, None).unwrap();
        let gauges = gan.gauges().unwrap();
        let names: Vec<String> = gan.tensors().map(|(name, _)| name.to_owned()).collect();
        for (k, model) in ["generator", "discriminator"].into_iter().enumerate() {
            let prefix = format!("optimiser/{model}/");
            let moments = names.iter().filter(|name| name.starts_with(&prefix) && name.ends_with("/m"));
            let squared: f64 =
                moments.flat_map(|name| gan.read_tensor(name).unwrap()).map(|m| (m / 0.1).powi(2)).sum();
            let found = gauges.gradient_norms[k].unwrap();
            assert!((found / squared.sqrt() - 1.0).abs() < 1e-6, "{model}: {found} {}", squared.sqrt());
            assert_eq!(gauges.learning_rates[k], 1e-3);
        }
        let accuracy = gauges.verdicts.accuracy.unwrap();
        assert!(accuracy.iter().all(|share| (share * 3.0).fract() < 1e-12), "{accuracy:?}");
    }
}
