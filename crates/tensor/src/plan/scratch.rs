//! Temporaries of programs that are run in turn.

use super::{BufferKind, Plan, View};
use crate::shape::Shape;

impl Plan {
    /// The same plan with its temporaries made variables, but for those whose values [last](super::BufferSpec::lasting):
    /// then the memory that they lie in is the caller's, who may give it to another program between runs. `place` names the
    /// piece of memory for a temporary of so many elements, each time another one; the largest are asked for first. The second
    /// result holds the name for each variable, in their order; none for those that the plan had.
    pub(crate) fn with_scratch(
        mut self,
        mut place: impl FnMut(usize) -> usize,
    ) -> (Plan, Vec<Option<usize>>) {
        let mut temporaries: Vec<usize> = (0..self.buffers.len())
            .filter(|&buffer| {
                let spec = &self.buffers[buffer];
                spec.kind == BufferKind::Temporary && !spec.lasting
            })
            .collect();
        temporaries.sort_by_key(|&buffer| std::cmp::Reverse(self.buffers[buffer].elements));
        let mut variables: Vec<((String, View), Option<usize>)> =
            std::mem::take(&mut self.variables).into_iter().map(|variable| (variable, None)).collect();
        for buffer in temporaries {
            let elements = self.buffers[buffer].elements;
            let piece = place(elements);
            let name = format!("scratch {piece}");
            self.buffers[buffer].kind = BufferKind::Variable(name.clone());
            let view = View { buffer, offset: 0, shape: Shape::from([elements]) };
            variables.push(((name, view), Some(piece)));
        }
        // Devices find variables in the order of the buffers.
        variables.sort_by_key(|((_, view), _)| view.buffer);
        let (variables, pieces) = variables.into_iter().unzip();
        self.variables = variables;
        (self, pieces)
    }
}
