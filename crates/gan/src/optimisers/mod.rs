//! Optimisers: their options, the numbers that they hand to a step, and the operation that updates a model.

mod adam;
mod adamw;
mod eps_form;
mod named;
mod rmsprop;
mod sgd;
mod update_rule;

pub use adam::Adam;
pub use adamw::AdamW;
pub use eps_form::EpsForm;
pub use named::{names, register};
pub use rmsprop::RmsProp;
pub use sgd::Sgd;
pub use update_rule::{Optimiser, SecondMoment, UpdateRule};
