//! A residual block.

use std::sync::Arc;

use crate::layer::State;
use crate::layers::Entry;
use crate::layers::prelude::*;

/// A residual block (He et al. 2016): the sum of what `layers` make of the input and what `shortcut` makes of it; an
/// empty shortcut hands the input on. Both must give the same shape.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Residual {
    pub(crate) layers: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) shortcut: Vec<Entry>,
}

impl Residual {
    /// A block without layers: twice the input.
    pub fn new() -> Residual {
        Residual::default()
    }

    /// Adds a layer to the block.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // as `Sequential` has it
    pub fn add(mut self, layer: impl Layer + 'static) -> Residual {
        self.layers.push(Entry(Arc::new(layer)));
        self
    }

    /// Adds a layer to the shortcut.
    #[must_use]
    pub fn shortcut(mut self, layer: impl Layer + 'static) -> Residual {
        self.shortcut.push(Entry(Arc::new(layer)));
        self
    }

    /// Both branches with what stands before the names of their layers.
    fn branches(&self) -> [(&'static str, &[Entry]); 2] {
        [("", &self.layers), ("shortcut.", &self.shortcut)]
    }

    /// The inner layers: name, layer, input shape. Shapes are known to fit.
    fn inner(&self, input: Shape) -> Vec<(String, &Entry, Shape)> {
        let mut inner = Vec::new();
        for (prefix, branch) in self.branches() {
            let mut shape = input;
            for (index, entry) in branch.iter().enumerate() {
                inner.push((format!("{prefix}{index}.{}", entry.0.kind()), entry, shape));
                shape = entry.0.output_shape(shape).unwrap_or(shape);
            }
        }
        inner
    }
}

impl Layer for Residual {
    kind!("residual");

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let mut outputs = [input; 2];
        for (output, (prefix, branch)) in outputs.iter_mut().zip(self.branches()) {
            for (index, entry) in branch.iter().enumerate() {
                let here = || format!("its layer {prefix}{index} ({})", entry.0.kind());
                *output = entry.0.output_shape(*output).map_err(|e| e.context(here()))?;
            }
        }
        let [output, shortcut] = outputs;
        if output != shortcut {
            return Err(Error::invalid(format!(
                "the layers of the block give the shape {output}, its shortcut {shortcut}: a sum needs the same"
            )));
        }
        Ok(output)
    }

    fn parameters(&self, input: Shape) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        for (name, entry, shape) in self.inner(input) {
            parameters.extend(entry.0.parameters(shape).into_iter().map(|mut parameter| {
                parameter.name = format!("{name}/{}", parameter.name);
                parameter
            }));
        }
        parameters
    }

    fn states(&self, input: Shape) -> Vec<State> {
        let mut states = Vec::new();
        for (name, entry, shape) in self.inner(input) {
            states.extend(entry.0.states(shape).into_iter().map(|mut state| {
                state.name = format!("{name}/{}", state.name);
                state
            }));
        }
        states
    }

    fn classes(&self) -> Option<usize> {
        self.layers.iter().chain(&self.shortcut).find_map(|entry| entry.0.classes())
    }

    fn inputs(&self) -> Vec<(String, Shape)> {
        self.layers.iter().chain(&self.shortcut).flat_map(|entry| entry.0.inputs()).collect()
    }

    fn keeps(&self) -> Vec<String> {
        self.layers.iter().chain(&self.shortcut).flat_map(|entry| entry.0.keeps()).collect()
    }

    fn bind(&self, input: Shape, outputs: &mut Outputs) -> Result<Option<Arc<dyn Layer>>> {
        let mut bound = self.clone();
        for (prefix, branch) in [("", &mut bound.layers), ("shortcut.", &mut bound.shortcut)] {
            let mut shape = input;
            for (index, entry) in branch.iter_mut().enumerate() {
                let here = format!("its layer {prefix}{index} ({})", entry.0.kind());
                if let Some(layer) = entry.0.bind(shape, outputs).map_err(|e| e.context(&here))? {
                    entry.0 = layer;
                }
                shape = entry.0.output_shape(shape).map_err(|e| e.context(&here))?;
            }
        }
        Ok(Some(Arc::new(bound)))
    }

    fn trace<'g>(&self, x: Var<'g>, cx: &mut Context<'_, 'g>) -> Result<Var<'g>> {
        let mut branch = |(prefix, entries): (&str, &[Entry])| {
            entries.iter().enumerate().try_fold(x, |x, (index, entry)| {
                let name = format!("{prefix}{index}.{}", entry.0.kind());
                cx.within(&name, |cx| entry.0.trace(x, cx))
            })
        };
        let [layers, shortcut] = self.branches();
        Ok(branch(layers)? + branch(shortcut)?)
    }
}
