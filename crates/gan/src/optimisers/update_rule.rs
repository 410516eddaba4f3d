//! What an optimiser is.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use gannet_tensor::Var;

use crate::error::{Error, Result};

/// How a model's parameters follow their gradient.
///
/// All parameters of a model lie in one vector `[n]`, which is the first row of a state [1 + moments, n]; what the rule
/// keeps for each parameter is in the rows after it. Both are saved and loaded with the model. A rule of your own can be,
/// too, once it is [registered](crate::optimisers::register).
///
/// ```
/// use gannet::{Optimiser, Var};
/// use gannet::optimisers::UpdateRule;
///
/// /// The sign of the gradient, smoothed over updates (signSGD with momentum, Bernstein et al. 2018).
/// #[derive(Clone, Copy, Debug)]
/// struct SignSgd {
///     learning_rate: f64,
///     beta: f64,
/// }
///
/// impl UpdateRule for SignSgd {
///     fn learning_rate(&self) -> f64 {
///         self.learning_rate
///     }
///
///     fn with_learning_rate(&self, learning_rate: f64) -> Optimiser {
///         SignSgd { learning_rate, ..*self }.into()
///     }
///
///     fn moments(&self) -> &'static [&'static str] {
///         &["m"]
///     }
///
///     fn scalars(&self, _t: u64, factor: f64) -> Vec<f64> {
///         vec![self.learning_rate * factor]
///     }
///
///     fn update<'g>(&self, state: Var<'g>, gradient: Var<'g>, scalars: Var<'g>) -> Var<'g> {
///         let (p, m) = (state.slice(0, 0, 1), state.slice(0, 1, 2));
///         let g = gradient.reshape(p.shape());
///         let m = m * self.beta + g * (1.0 - self.beta);
///         Var::concat(&[p - m.sign() * scalars, m], 0)
///     }
/// }
/// ```
pub trait UpdateRule: Any + fmt::Debug + Send + Sync {
    /// The learning rate before any schedule.
    fn learning_rate(&self) -> f64;

    /// The same rule with another learning rate.
    fn with_learning_rate(&self, learning_rate: f64) -> Optimiser;

    /// The names of what the rule keeps for each parameter beside the parameter itself: the rows of its state after the
    /// first. They begin as zeros.
    fn moments(&self) -> &'static [&'static str];

    /// The numbers of update `t` (counted from 1), which the host computes: as many in each update, and at least one. The
    /// learning rate is to be multiplied by `factor`.
    fn scalars(&self, t: u64, factor: f64) -> Vec<f64>;

    /// The next state [1 + moments, n] from the state, the gradient `[n]` and this update's numbers. Between parameters
    /// there are gaps whose gradient is zero.
    fn update<'g>(&self, state: Var<'g>, gradient: Var<'g>, scalars: Var<'g>) -> Var<'g>;

    /// Errors when a number in the rule is impossible; the learning rate is checked already.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The moment that averages squares of the gradient, if one does: from it a run's gradient norms are told.
    fn second_moment(&self) -> Option<SecondMoment> {
        None
    }
}

/// A moment v = decay v + (1 - decay) g^2, which begins as zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SecondMoment {
    /// Its position among the [moments](UpdateRule::moments).
    pub moment: usize,
    /// The share of it that stays in an update.
    pub decay: f64,
}

/// An optimiser that models are trained with: one of [this crate](crate::optimisers), or one's own.
#[derive(Clone)]
pub struct Optimiser(Arc<dyn UpdateRule>);

impl<R: UpdateRule> From<R> for Optimiser {
    fn from(rule: R) -> Optimiser {
        Optimiser(Arc::new(rule))
    }
}

impl From<Arc<dyn UpdateRule>> for Optimiser {
    fn from(rule: Arc<dyn UpdateRule>) -> Optimiser {
        Optimiser(rule)
    }
}

impl Deref for Optimiser {
    type Target = dyn UpdateRule;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for Optimiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Optimiser {
    /// How many numbers [`scalars`](UpdateRule::scalars) gives.
    pub fn scalar_count(&self) -> usize {
        self.scalars(1, 1.0).len()
    }

    /// Whether it is a rule of this type.
    pub fn is<R: UpdateRule>(&self) -> bool {
        (&*self.0 as &dyn Any).is::<R>()
    }

    /// Errors when a number in it is impossible.
    pub fn check(&self) -> Result<()> {
        positive("learning_rate", self.learning_rate())?;
        if self.scalar_count() == 0 {
            return Err(Error::invalid("an update rule has at least one number for each update, got none"));
        }
        self.0.check()
    }
}

/// Errors unless `x` is a positive number.
pub(super) fn positive(name: &str, x: f64) -> Result<()> {
    if x.is_finite() && x > 0.0 {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} must be a positive number, got {x}")))
}

/// Errors unless `x` is the share of something that stays.
pub(super) fn share(name: &str, x: f64) -> Result<()> {
    if (0.0..1.0).contains(&x) {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} must be at least 0 and less than 1, got {x}")))
}
