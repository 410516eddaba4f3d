//! The equalised learning rate of another layer's kernels.

use std::any::Any;
use std::sync::Arc;

use super::{ConvTranspose2d, Residual, SpectralNorm};
use crate::layer::State;
use crate::layers::Entry;
use crate::layers::prelude::*;

/// A layer whose kernels are kept at variance 1 and multiplied by `gain` / sqrt(fan in) where they are used (Karras et al.
/// 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation"): an optimiser that normalises its
/// steps, as Adam does, then moves all layers at one pace, whatever their size. Kernels start normal with variance 1, however
/// the layer would have it; the fan in is the number of products in each result. All else of the layer is as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Equalised {
    pub(crate) layer: Entry,
    /// The standard deviation of a result for inputs of variance 1, as the layer starts.
    #[serde(default = "gain")]
    pub gain: f64,
}

/// The paper's: what a ReLU halves of the variance (He et al. 2015).
fn gain() -> f64 {
    std::f64::consts::SQRT_2
}

impl Equalised {
    /// The layer with its kernels multiplied by sqrt(2 / fan in).
    pub fn new(layer: impl Layer + 'static) -> Equalised {
        Equalised { layer: Entry(Arc::new(layer)), gain: gain() }
    }

    /// The standard deviation of a result for inputs of variance 1.
    #[must_use]
    pub fn gain(mut self, gain: f64) -> Equalised {
        self.gain = gain;
        self
    }

    /// What a parameter of the layer is multiplied by, if it is a kernel.
    pub(crate) fn factor(&self, name: &str, shape: Shape) -> Option<f64> {
        if name.rsplit('/').next() != Some("kernel") || shape.rank() < 2 {
            return None;
        }
        let &[ref window @ .., inputs, outputs] = shape.dims() else { return None };
        // [.., C_out, C_in]
        let transposed = (self.layer.0.as_ref() as &dyn Any).is::<ConvTranspose2d>();
        let inputs = if transposed { outputs } else { inputs };
        Some(self.gain / ((window.iter().product::<usize>() * inputs) as f64).sqrt())
    }
}

impl Layer for Equalised {
    kind!("equalised");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let (layer, kind) = (self.layer.0.as_ref() as &dyn Any, self.layer.0.kind());
        if !(self.gain.is_finite() && self.gain > 0.0) {
            return Err(Error::invalid(format!("gain must be a positive number, got {}", self.gain)));
        }
        if layer.is::<Residual>() || layer.is::<SpectralNorm>() || layer.is::<Equalised>() {
            return Err(Error::invalid(format!(
                "expected a single layer with kernels, like conv2d, got '{kind}', which holds others"
            )));
        }
        let output = self.layer.0.output_shape(input).map_err(|e| e.context(kind))?;
        let mut parameters = self.layer.0.parameters(input).into_iter();
        if !parameters.any(|parameter| self.factor(&parameter.name, parameter.shape).is_some()) {
            return Err(Error::invalid(format!("the layer '{kind}' has no kernels to keep at variance 1")));
        }
        Ok(output)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        let mut parameters = self.layer.0.parameters(input);
        for parameter in &mut parameters {
            if self.factor(&parameter.name, parameter.shape).is_some() {
                parameter.initialiser = Some(Initialiser::Normal { std: 1.0 });
            }
        }
        parameters
    }

    fn states(&self, input: Shape) -> Vec<State> {
        self.layer.0.states(input)
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
        Ok(bound.map(|layer| Arc::new(Equalised { layer: Entry(layer), ..self.clone() }) as Arc<dyn Layer>))
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let input = Shape::new(&x.shape().dims()[1..])?;
        let mut parameters = cx.parameters.clone();
        for parameter in self.layer.0.parameters(input) {
            if let Some(factor) = self.factor(&parameter.name, parameter.shape) {
                let kernel = cx.parameter(&parameter.name)? * factor;
                parameters.set(format!("{}/{}", cx.path, parameter.name), kernel);
            }
        }
        let path = cx.path.clone();
        self.layer.0.trace(x, &mut cx.at(path, &parameters))
    }
}
