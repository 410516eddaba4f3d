//! What a loss of a GAN is.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use gannet_tensor::Var;

use crate::error::{Error, Result};

/// A loss of a GAN: what discriminator and generator minimise, as a function of what the discriminator says of real and
/// of generated images.
///
/// A loss of your own is a type that implements this and one of [`Pointwise`] and [`Paired`]. To be saved with a model
/// and loaded again, it is [registered](crate::losses::register).
///
/// ```
/// use gannet::{Loss, Var};
/// use gannet::losses::{AdversarialLoss, Pointwise, Terms};
///
/// /// The exponential loss of boosting: exp(-score) for real images, exp(score) for generated ones.
/// #[derive(Debug)]
/// struct Exponential;
///
/// impl AdversarialLoss for Exponential {
///     fn terms(&self) -> Terms<'_> {
///         Terms::Pointwise(self)
///     }
/// }
///
/// impl Pointwise for Exponential {
///     fn real<'g>(&self, scores: Var<'g>, _target: f64) -> Var<'g> {
///         (-scores).exp().mean_all()
///     }
///
///     fn fake<'g>(&self, scores: Var<'g>) -> Var<'g> {
///         scores.exp().mean_all()
///     }
///
///     fn generator<'g>(&self, fake: Var<'g>) -> Var<'g> {
///         (-fake).exp().mean_all()
///     }
/// }
///
/// let loss = Loss::from(Exponential);
/// assert!(!loss.is_relativistic());
/// ```
pub trait AdversarialLoss: Any + fmt::Debug + Send + Sync {
    /// Which images the loss reads together, with its formulas.
    fn terms(&self) -> Terms<'_>;

    /// Another loss and other scores to compute in place of this one of `y` [n, 1 or more], what the discriminator gives:
    /// the same value, found in a way that keeps more digits. None by default.
    fn rewritten<'g>(&self, _y: Var<'g>) -> Option<(Loss, Var<'g>)> {
        None
    }
}

/// Which images a loss reads together.
#[derive(Clone, Copy)]
pub enum Terms<'a> {
    /// Each image is judged by itself.
    Pointwise(&'a dyn Pointwise),
    /// Pairs of a real and a generated image are compared: a relativistic loss.
    Paired(&'a dyn Paired),
}

/// The formulas of a loss that judges each image by itself. Scores are [n, 1], losses scalars.
pub trait Pointwise {
    /// The discriminator's loss on real images. Their target is `target`: 1, unless labels are smoothed
    /// (Salimans et al. 2016); a loss that [has none](Pointwise::has_target) does not read it.
    fn real<'g>(&self, scores: Var<'g>, target: f64) -> Var<'g>;

    /// The discriminator's loss on generated images.
    fn fake<'g>(&self, scores: Var<'g>) -> Var<'g>;

    /// The generator's loss, of the scores of its images.
    fn generator<'g>(&self, fake: Var<'g>) -> Var<'g>;

    /// Whether real images have a target that can be smoothed. None by default.
    fn has_target(&self) -> bool {
        false
    }

    /// The score above which an image passes for real, where there is one: what a discriminator's accuracy is measured
    /// by. `scores` are those of a batch, `target` is that of its real images.
    fn boundary(&self, _scores: &[f64], _target: f64) -> Option<f64> {
        None
    }
}

/// The formulas of a loss that compares pairs of a real and a generated image. Scores are [n, 1], losses scalars.
pub trait Paired {
    /// The discriminator's loss, in two shares: of real and of generated images. It minimises their sum.
    fn discriminator<'g>(&self, real: Var<'g>, fake: Var<'g>) -> [Var<'g>; 2];

    /// The generator's loss.
    fn generator<'g>(&self, real: Var<'g>, fake: Var<'g>) -> Var<'g>;
}

/// A loss that a GAN is trained with: one of [this crate](crate::losses), or one's own.
#[derive(Clone)]
pub struct Loss(Arc<dyn AdversarialLoss>);

impl<L: AdversarialLoss> From<L> for Loss {
    fn from(loss: L) -> Loss {
        Loss(Arc::new(loss))
    }
}

impl From<Arc<dyn AdversarialLoss>> for Loss {
    fn from(loss: Arc<dyn AdversarialLoss>) -> Loss {
        Loss(loss)
    }
}

impl Deref for Loss {
    type Target = dyn AdversarialLoss;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Loss {
    /// The discriminator's two losses, scalars: of real and of generated images. It minimises their sum.
    pub fn discriminator<'g>(&self, real: Var<'g>, fake: Var<'g>, real_target: f64) -> [Var<'g>; 2] {
        match self.terms() {
            Terms::Pointwise(loss) => [loss.real(real, real_target), loss.fake(fake)],
            Terms::Paired(loss) => loss.discriminator(real, fake),
        }
    }

    /// The generator's loss, a scalar. Errors without `real` when the loss
    /// [is relativistic](Loss::is_relativistic); others do not read it.
    pub fn generator<'g>(&self, real: Option<Var<'g>>, fake: Var<'g>) -> Result<Var<'g>> {
        match (self.terms(), real) {
            (Terms::Pointwise(loss), _) => Ok(loss.generator(fake)),
            (Terms::Paired(loss), Some(real)) => Ok(loss.generator(real, fake)),
            (Terms::Paired(_), None) => {
                Err(Error::invalid("the relativistic loss of a generator needs the scores of real images"))
            }
        }
    }

    /// Whether pairs of real and generated images are compared, so that the generator's loss depends on real ones too.
    pub fn is_relativistic(&self) -> bool {
        matches!(self.terms(), Terms::Paired(_))
    }

    /// Whether real images have a target that can be smoothed.
    pub fn has_target(&self) -> bool {
        match self.terms() {
            Terms::Pointwise(loss) => loss.has_target(),
            Terms::Paired(_) => false,
        }
    }

    /// Whether it is a loss of this type.
    pub fn is<L: AdversarialLoss>(&self) -> bool {
        (&*self.0 as &dyn Any).is::<L>()
    }

    /// The loss to compute, and the scores it takes, for what a discriminator gives.
    pub(crate) fn on<'g>(&self, y: Var<'g>) -> (Loss, Var<'g>) {
        self.rewritten(y).unwrap_or_else(|| (self.clone(), y))
    }
}
