//! Spectral normalisation of another layer's weights.

use std::sync::Arc;

use crate::layer::{Mode, State};
use crate::layers::Entry;
use crate::layers::prelude::*;

/// Keeps the norm of a vector away from zero.
const EPS: f64 = 1e-12;

/// A layer whose weights are divided by their spectral norm (Miyato et al. 2018), so that it is Lipschitz with
/// constant 1 or nearly: every weight with two axes or more is seen as a matrix with its last axis as columns, and its
/// largest singular value is estimated by power iteration, one round in each training pass. The vector of the
/// iteration is kept from step to step; no gradient flows through it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SpectralNorm {
    pub(crate) layer: Entry,
}

impl SpectralNorm {
    /// The layer with its weights normalised.
    pub fn new(layer: impl Layer + 'static) -> SpectralNorm {
        SpectralNorm { layer: Entry(Arc::new(layer)) }
    }

    /// The weights that are normalised.
    fn matrices(&self, input: Shape) -> Vec<Parameter> {
        self.layer.0.parameters(input).into_iter().filter(|parameter| parameter.shape.rank() >= 2).collect()
    }
}

fn state_name(parameter: &str) -> String {
    format!("{parameter}_spectral")
}

impl Layer for SpectralNorm {
    kind!("spectral_norm");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let kind = self.layer.0.kind();
        let output = self.layer.0.output_shape(input).map_err(|e| e.context(kind))?;
        if kind == "equalised" {
            return Err(Error::invalid(
                "spectral_norm divides out what 'equalised' multiplies by: expected one of them around the layer",
            ));
        }
        if self.matrices(input).is_empty() {
            return Err(Error::invalid(format!("the layer '{kind}' has no weights to normalise")));
        }
        Ok(output)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        self.layer.0.parameters(input)
    }

    fn states(&self, input: Shape) -> Vec<State> {
        let mut states = self.layer.0.states(input);
        states.extend(self.matrices(input).into_iter().map(|parameter| State {
            name: state_name(&parameter.name),
            rows: vec![(format!("{}_u", parameter.name), Initialiser::Normal { std: 1.0 })],
            len: parameter.shape.last(),
        }));
        states
    }

    fn classes(&self) -> Option<usize> {
        self.layer.0.classes()
    }

    fn inputs(&self) -> Vec<(String, Shape)> {
        self.layer.0.inputs()
    }

    fn keeps(&self) -> Vec<String> {
        self.layer.0.keeps()
    }

    fn bind(&self, input: Shape, outputs: &mut Outputs) -> Result<Option<Arc<dyn Layer>>> {
        let kind = self.layer.0.kind();
        let bound = self.layer.0.bind(input, outputs).map_err(|e| e.context(kind))?;
        Ok(bound.map(|layer| Arc::new(SpectralNorm { layer: Entry(layer) }) as Arc<dyn Layer>))
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let input = Shape::new(&x.shape().dims()[1..])?;
        let mut parameters = cx.parameters.clone();
        for parameter in self.matrices(input) {
            let state = state_name(&parameter.name);
            let weight = cx.parameter(&parameter.name)?;
            let columns = weight.shape().last();
            let matrix = weight.reshape([weight.shape().len() / columns, columns]);
            // Constants to differentiation: only the matrix between them is followed.
            let fixed = matrix.stop_gradient();
            let mut u = unit(cx.state(&state)?.reshape([columns, 1]));
            let v = unit(fixed.matmul(u));
            if cx.pass().mode != Mode::Inference {
                u = unit(v.reshape([1, matrix.shape().dims()[0]]).matmul(fixed).reshape([columns, 1]));
                cx.set_state(&state, u.reshape([1, columns]));
            }
            let norm = (matrix.matmul(u) * v).sum_all();
            parameters.set(format!("{}/{}", cx.path, parameter.name), weight * norm.reciprocal());
        }
        let path = cx.path.clone();
        self.layer.0.trace(x, &mut cx.at(path, &parameters))
    }
}

/// A vector divided by its norm.
fn unit(x: Var<'_>) -> Var<'_> {
    let x = x.stop_gradient();
    x * (x.square().sum_all() + EPS).sqrt().reciprocal()
}
