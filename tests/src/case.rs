//! A case: one computation with the shapes and the domain of its inputs, as data.

use std::fmt;
use std::sync::Arc;

use gannet_tensor::{Graph, Operation, Shape, Var};
use proptest::strategy::BoxedStrategy;

use crate::random::Random;

/// The values that an input takes: where the operation is smooth, and what it is meant for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Anything in the range.
    Within(f64, f64),
    /// A magnitude in the range, with either sign: away from a kink at zero.
    Apart(f64, f64),
    /// Multiples of 1/4 plus a shift: two inputs with shifts 0 and 1/8 are nowhere equal or nearly so.
    Grid(f64),
    /// All elements differ by at least 1/64, in random order: every window has one largest element.
    Distinct,
    /// Whole numbers below this one. They name rows or steps, and nothing is differentiated by them.
    Below(usize),
}

impl Domain {
    /// Whether a derivative with respect to such values exists.
    pub fn is_continuous(self) -> bool {
        !matches!(self, Domain::Below(_))
    }

    /// `count` values, each representable in `f32`, so that every backend is given the same numbers.
    pub fn values(self, count: usize, random: &mut Random) -> Vec<f64> {
        let mut values: Vec<f64> = (0..count)
            .map(|i| match self {
                Domain::Within(low, high) => random.within(low, high),
                Domain::Apart(low, high) => random.within(low, high) * if random.coin() { 1.0 } else { -1.0 },
                Domain::Grid(shift) => random.below(17) as f64 / 4.0 - 2.0 + shift,
                Domain::Distinct => (i as f64 - count as f64 / 2.0 + 0.5) / 64.0,
                Domain::Below(n) => random.below(n) as f64,
            })
            .map(|v| f64::from(v as f32))
            .collect();
        if self == Domain::Distinct {
            random.shuffle(&mut values);
        }
        values
    }
}

/// An input of a case.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The name of the graph's input.
    pub name: &'static str,
    /// Its dimensions.
    pub shape: Shape,
    /// The values it takes.
    pub domain: Domain,
}

/// An input called `name`.
pub fn leaf(name: &'static str, shape: impl Into<Shape>, domain: Domain) -> Leaf {
    Leaf { name, shape: shape.into(), domain }
}

type Build = Arc<dyn for<'g> Fn(&[Var<'g>]) -> Var<'g> + Send + Sync>;

/// One computation, ready to be traced.
#[derive(Clone)]
pub struct Case {
    /// What it computes, with the parameters that the shapes do not tell.
    pub title: String,
    /// Its inputs, in order.
    pub leaves: Vec<Leaf>,
    build: Build,
}

impl Case {
    /// A case of the operation `op`, which is made anew for every trace.
    pub fn of<O: Operation>(leaves: Vec<Leaf>, op: impl Fn() -> O + Send + Sync + 'static) -> Case {
        Case::new(format!("{:?}", op()), leaves, move |x| node(op(), x))
    }

    /// A case of a composition, written by the methods of [`Var`].
    pub fn new(
        title: impl Into<String>,
        leaves: Vec<Leaf>,
        build: impl for<'g> Fn(&[Var<'g>]) -> Var<'g> + Send + Sync + 'static,
    ) -> Case {
        Case { title: title.into(), leaves, build: Arc::new(build) }
    }

    /// Traces the case into `graph`: its inputs and its output.
    pub fn trace<'g>(&self, graph: &'g Graph) -> (Vec<Var<'g>>, Var<'g>) {
        let inputs: Vec<Var<'g>> =
            self.leaves.iter().map(|leaf| graph.input(leaf.name, leaf.shape)).collect();
        let y = (self.build)(&inputs);
        (inputs, y)
    }

    /// The case whose output is `rewrite` of this one's.
    #[must_use]
    pub fn rewritten(self, rewrite: impl for<'g> Fn(Var<'g>) -> Var<'g> + Send + Sync + 'static) -> Case {
        let build = self.build;
        Case::new(self.title, self.leaves, move |x| rewrite(build(x)))
    }

    /// Values for the inputs, in order.
    pub fn values(&self, random: &mut Random) -> Vec<Vec<f64>> {
        self.leaves.iter().map(|leaf| leaf.domain.values(leaf.shape.len(), random)).collect()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.title)?;
        let leaves: Vec<String> = self.leaves.iter().map(|l| format!("{} {}", l.name, l.shape)).collect();
        write!(f, " of {}", leaves.join(", "))
    }
}

/// The output of `op` on `inputs`.
///
/// # Panics
/// When the shapes do not fit.
pub fn node<'g>(op: impl Operation, inputs: &[Var<'g>]) -> Var<'g> {
    match inputs[0].graph().apply(op, inputs) {
        Ok(var) => var,
        Err(error) => panic!("{error}"),
    }
}

/// What there is to say about the derivative of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivative {
    /// It exists on the declared domain, of any order.
    Exists,
    /// It is declared to be zero (a comparison, a stopped gradient), whatever differences may say.
    Zero,
    /// There is none: asking for it is an error when the graph is built.
    Missing,
}

/// A row of the case list: an operation, and how to draw cases of it.
pub struct Row {
    /// The name of the operation, or of the composition.
    pub name: &'static str,
    /// What there is to say about its derivative.
    pub derivative: Derivative,
    /// The cases.
    pub cases: BoxedStrategy<Case>,
}
