//! A further input of the model beside the features.

use crate::layers::prelude::*;

/// A further input of the model, behind the features along the last axis: how a model has several inputs. Input
/// [.., n], output [.., n + m] for a further input of shape [.., m].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcatInput {
    /// The name of the further input. Layers that name the same one take the same one.
    pub name: String,
    /// The shape of a sample of it.
    pub shape: Vec<usize>,
}

impl ConcatInput {
    /// The further input `name`, of samples of the given shape.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> ConcatInput {
        ConcatInput { name: name.into(), shape: shape.into() }
    }
}

impl Layer for ConcatInput {
    kind!("concat_input");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let further = Shape::new(&self.shape)?;
        match (input.dims(), further.dims()) {
            ([rest @ .., n], [others @ .., m]) if rest == others => {
                let dims: Vec<usize> = rest.iter().copied().chain([n + m]).collect();
                Ok(Shape::new(&dims)?)
            }
            _ => Err(Error::invalid(format!(
                "the input '{}' of shape {further} does not fit beside {input}: only the last axis may differ",
                self.name
            ))),
        }
    }

    fn inputs(&self) -> Vec<(String, Shape)> {
        Shape::new(&self.shape).map(|shape| vec![(self.name.clone(), shape)]).unwrap_or_default()
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        Ok(Var::concat(&[x, cx.input(&self.name)?], x.shape().rank() - 1))
    }
}
