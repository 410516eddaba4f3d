//! The cases of `ops.json`.

use gannet_tensor::{Backend, Element, Graph, Padding, Program, Shape, Var, Variables, grad, vjp};
use serde::Deserialize;
use serde_json::Value;

use super::{File, Tensor, assert_close, directory};
use gannet_tests::evaluate;

/// A case of `ops.json`.
#[derive(Deserialize)]
struct Case {
    name: String,
    op: String,
    params: Value,
    inputs: Vec<String>,
    grads: Vec<String>,
}

impl Case {
    fn param(&self, name: &str) -> &Value {
        self.params.get(name).unwrap_or_else(|| panic!("{}: no parameter '{name}'", self.name))
    }

    fn number(&self, name: &str) -> f64 {
        self.param(name).as_f64().unwrap_or_else(|| panic!("{}: '{name}' is no number", self.name))
    }

    fn text(&self, name: &str) -> &str {
        self.param(name).as_str().unwrap_or_else(|| panic!("{}: '{name}' is no text", self.name))
    }

    /// A number for both axes, or one for each.
    fn pair(&self, name: &str) -> [usize; 2] {
        let number =
            |v: &Value| v.as_u64().unwrap_or_else(|| panic!("{}: '{name}' is {v}", self.name)) as usize;
        match self.param(name) {
            Value::Array(both) => [number(&both[0]), number(&both[1])],
            one => [number(one); 2],
        }
    }

    fn padding(&self) -> Padding {
        padding(self.text("padding"))
    }
}

fn padding(name: &str) -> Padding {
    match name {
        "same" => Padding::Same,
        "valid" => Padding::Valid,
        other => panic!("a padding of '{other}'; there are same and valid"),
    }
}

/// Checks every case of `ops.json`: outputs, gradients, penalties with their gradients, steps of Adam.
///
/// # Panics
/// When something is further off than `tolerance`, relative to the largest element of each tensor.
pub fn check_operations<B: Backend>(backend: &B, tolerance: f64) {
    let text = std::fs::read_to_string(directory().join("ops.json")).expect("ops.json");
    let cases: Vec<Case> = serde_json::from_str(&text).expect("a list of cases");
    assert!(!cases.is_empty(), "ops.json lists no case");
    let file = File::read(&directory().join("ops.safetensors"));
    for case in &cases {
        let tensor = |name: &str| file.tensor(&format!("{}/{name}", case.name));
        match case.op.as_str() {
            "adam" => adam(backend, case, tensor, tolerance),
            _ => operation(backend, case, tensor, tolerance),
        }
    }
}

/// A tensor's shape.
fn shape(tensor: &Tensor) -> Shape {
    Shape::new(&tensor.shape).expect("a shape")
}

/// An operation with the gradients of sum(y * dy), or a penalty with its gradients.
fn operation<'t, B: Backend>(backend: &B, case: &Case, tensor: impl Fn(&str) -> &'t Tensor, tolerance: f64) {
    let graph = Graph::new();
    let input = |name: &String| graph.input(name, shape(tensor(name)));
    let x: Vec<Var<'_>> = case.inputs.iter().map(input).collect();
    let by: Vec<Var<'_>> = case.grads.iter().map(input).collect();
    let (y, gradients) = if case.op == "second_order" {
        let y = penalty(case, &x);
        (y, grad(y, &by).expect("gradients"))
    } else {
        let y = apply(case, &x).reshape(shape(tensor("y")));
        let dy = graph.input("dy", y.shape());
        let gradients = vjp(y, dy, &by).expect("gradients");
        (y, gradients.into_iter().map(|dx| dx.expect("y depends on it")).collect())
    };
    let mut outputs = vec![("y".to_string(), y)];
    outputs.extend(case.grads.iter().map(|name| format!("d{name}")).zip(gradients));
    let values = evaluate(backend, &outputs, true, |name| tensor(name).values.clone());
    for ((name, _), actual) in outputs.iter().zip(values.expect("a run")) {
        assert_close(&format!("{}/{name}", case.name), &actual, &tensor(name).values, tolerance);
    }
}

/// TensorFlow keeps the slope of its leaky_relu as an attribute in single precision, whatever the tensors are.
fn single(slope: f64) -> f64 {
    f64::from(slope as f32)
}

fn apply<'g>(case: &Case, x: &[Var<'g>]) -> Var<'g> {
    match case.op.as_str() {
        "dense" => x[0].matmul(x[1]) + x[2],
        "conv2d" => x[0].conv2d(x[1], case.pair("stride"), case.padding()) + x[2],
        "conv_transpose2d" => {
            assert_eq!(case.text("kernel_layout"), "[Kh,Kw,C_out,C_in]", "{}", case.name);
            x[0].conv_transpose2d(x[1], case.pair("stride"), case.padding(), None) + x[2]
        }
        "max_pool2d" => x[0].max_pool2d(case.pair("size"), case.pair("stride"), case.padding()),
        "batch_norm_train" => x[0].batch_norm_train(x[1], x[2], case.number("eps"), 1).0,
        "batch_norm_eval" => {
            let row = |v: Var<'g>| v.reshape([1, v.shape().len()]);
            let stats = Var::concat(&[row(x[3]), row(x[4])], 0);
            x[0].batch_norm(stats, x[1], x[2], case.number("eps"))
        }
        "relu" => x[0].relu(),
        "leaky_relu" => x[0].leaky_relu(single(case.number("negative_slope"))),
        "tanh" => x[0].tanh(),
        "sigmoid" => x[0].sigmoid(),
        "softplus" => x[0].softplus(),
        "bce_logits" => x[0].bce_logits(x[1]).mean_all(),
        "bce_probabilities" => x[0].bce_probabilities(x[1], case.number("clip")).mean_all(),
        op => panic!("{}: the operation '{op}' is not known here", case.name),
    }
}

/// The mean over the batch of |dD/dx|^2 or of (|dD/dx| - 1)^2, for the critic D that the case describes.
fn penalty<'g>(case: &Case, inputs: &[Var<'g>]) -> Var<'g> {
    let named = |name: &str| {
        let index = case.inputs.iter().position(|input| input == name.trim());
        inputs[index.unwrap_or_else(|| panic!("{}: no input '{name}'", case.name))]
    };
    let penalty = case.text("penalty");
    let x = inputs[0];
    let mut y = x;
    for layer in case.text("critic").split(" - ") {
        let (kind, arguments) = layer.trim().split_once([' ', '(']).unwrap_or((layer.trim(), ""));
        let arguments: Vec<&str> = arguments.trim_end_matches(')').split(',').collect();
        y = match kind {
            "conv2d" => {
                let stride = arguments[2].trim().strip_prefix("stride ").and_then(|s| s.parse().ok());
                let stride = stride.unwrap_or_else(|| panic!("{}: {layer}", case.name));
                y.conv2d(named(arguments[0]), [stride; 2], padding(arguments[3])) + named(arguments[1])
            }
            "leaky_relu" if penalty.contains("tanh in place of leaky_relu") => y.tanh(),
            "leaky_relu" => y.leaky_relu(single(arguments[0].parse().expect("a slope"))),
            "flatten" => y.reshape([y.shape().dims()[0], y.shape().len() / y.shape().dims()[0]]),
            "matmul" => y.matmul(named(arguments[0])),
            _ => panic!("{}: a layer '{layer}'", case.name),
        };
    }
    let dx = grad(y.sum_all(), &[x]).expect("a gradient")[0];
    let n = x.shape().dims()[0];
    let squares = dx.square().reshape([n, dx.shape().len() / n]).sum(&[1]);
    if penalty.contains("- 1)^2") { (squares.sqrt() - 1.0).square().mean_all() } else { squares.mean_all() }
}

/// Some steps of Adam from given gradients; the parameters after each.
///
/// The scalars come from the published formulas, in double precision, as these cases were made. The traces
/// were made by Keras itself, which rounds the betas of its correction; they check [`gannet::Adam`].
fn adam<'t, B: Backend>(backend: &B, case: &Case, tensor: impl Fn(&str) -> &'t Tensor, tolerance: f64) {
    let (start, gradients, golden) = (tensor("p0"), tensor("g"), tensor("p"));
    let n = start.values.len();
    let [lr, beta1, beta2, eps] = ["lr", "beta1", "beta2", "eps"].map(|name| case.number(name));
    let scalars = |t: i32| {
        let corrections = [1.0 - beta1.powi(t), (1.0 - beta2.powi(t)).sqrt()];
        let step_size = lr * corrections[1] / corrections[0];
        match case.text("form") {
            "keras" => [step_size, eps],
            "torch" => [step_size, eps * corrections[1]],
            form => panic!("{}: the form '{form}'; there are keras and torch", case.name),
        }
    };
    let graph = Graph::new();
    let state = graph.variable("state", [3, n]);
    let new = state.adam(graph.input("g", [n]), graph.input("scalars", [2]), beta1, beta2);
    let plan = graph.plan().assign(state, new).build().expect("a plan");

    let narrow = |values: &[f64]| -> Vec<B::Element> { values.iter().map(|&v| B::Element::of(v)).collect() };
    let mut values = start.values.clone();
    values.resize(3 * n, 0.0);
    let mut variables = Variables::new();
    variables.insert(backend, "state", [3, n].into(), &narrow(&values)).expect("a variable");
    let mut program = Program::new(backend, plan, &variables).expect("a program");
    for (t, (g, golden)) in (1..).zip(gradients.values.chunks(n).zip(golden.values.chunks(n))) {
        program.write("g", &narrow(g)).expect("an input");
        program.write("scalars", &narrow(&scalars(t))).expect("an input");
        program.run().expect("a run");
        let state = variables.read(backend, "state").expect("a variable");
        let p: Vec<f64> = state[..n].iter().map(|v| v.to_f64()).collect();
        assert_close(&format!("{}, step {t}", case.name), &p, golden, tolerance);
    }
}
