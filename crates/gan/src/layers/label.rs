//! The class of an image beside a vector.

use crate::layers::prelude::*;

/// Appends the class to a vector as a one-hot vector times `scale`: how a conditional generator learns which
/// class it is asked for (Mirza and Osindero 2014). Input `[n]`, output [n + classes].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Label {
    /// How many classes there are.
    pub classes: usize,
    /// The number that stands for yes. Larger than 1, it weighs more beside latents of variance 1.
    #[serde(default = "one")]
    pub scale: f64,
}

fn one() -> f64 {
    1.0
}

impl Label {
    /// One-hot vectors of the given length.
    pub fn new(classes: usize) -> Label {
        Label { classes, scale: 1.0 }
    }

    /// The number that stands for yes.
    #[must_use]
    pub fn scale(mut self, scale: f64) -> Label {
        self.scale = scale;
        self
    }
}

impl Layer for Label {
    kind!("label");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let &[n] = input.dims() else {
            return Err(Error::invalid(format!("expected an input of shape [n], got {input}")));
        };
        if self.classes == 0 || !self.scale.is_finite() {
            return Err(Error::invalid(format!(
                "expected at least 1 class and a finite scale, got {} and {}",
                self.classes, self.scale
            )));
        }
        Ok(Shape::new(&[n.saturating_add(self.classes)])?)
    }

    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(Var::concat(&[x, cx.by_class(|labels| labels.one_hot(self.classes))? * self.scale], 1))
    }
}
