//! Optimisers against loops over plain numbers, written from their definitions in PyTorch's and Keras' documentation.

use gannet::{Adam, AdamW, Element, EpsForm, Optimiser, Reference, RmsProp};
use gannet_tensor::{Graph, Program, Variables};

const START: [f64; 4] = [0.5, -1.25, 2.0, 0.0];
const STEPS: u64 = 6;

/// The gradient of step `t`, from 1.
fn gradient(t: u64) -> [f64; 4] {
    let t = t as f64;
    [0.3 * t.sin(), -0.8 + 0.1 * t, 1e-3 * (t - 3.0), 0.0]
}

/// The learning rate's factor in step `t`.
fn factor(t: u64) -> f64 {
    1.0 / (1.0 + 0.1 * t as f64)
}

/// The parameters after some updates by the rule.
fn run(rule: impl Into<Optimiser>) -> Vec<f64> {
    let rule = rule.into();
    rule.check().unwrap();
    let backend = Reference::<f64>::new();
    let rows = 1 + rule.moments().len();
    let graph = Graph::new();
    let state = graph.variable("state", [rows, 4]);
    let next = rule.update(state, graph.input("g", [4]), graph.input("scalars", [rule.scalar_count()]));
    let plan = graph.plan().output("next", next.slice(0, 0, 1)).assign(state, next).build().unwrap();
    let mut variables = Variables::new();
    let mut values = START.to_vec();
    values.resize(4 * rows, 0.0);
    variables.insert(&backend, "state", [rows, 4].into(), &values).unwrap();
    let mut program = Program::new(&backend, plan, &variables).unwrap();
    for t in 1..=STEPS {
        program.write("g", &gradient(t)).unwrap();
        program.write("scalars", &rule.scalars(t, factor(t))).unwrap();
        program.run().unwrap();
    }
    program.read("next").unwrap().into_iter().map(Element::to_f64).collect()
}

fn assert_near(found: &[f64], expected: &[f64], name: &str) {
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-12, "{name}: {found:?}, expected {expected:?}");
    }
}

/// The same loop for each parameter by itself; `update` is given the parameter, its moments, the step and the gradient.
fn by_hand(mut update: impl FnMut(&mut f64, &mut [f64; 3], u64, f64)) -> Vec<f64> {
    let mut parameters = START;
    let mut moments = [[0.0; 3]; 4];
    for t in 1..=STEPS {
        for (i, g) in gradient(t).into_iter().enumerate() {
            update(&mut parameters[i], &mut moments[i], t, g);
        }
    }
    parameters.to_vec()
}

#[test]
fn adamw_decays_weights_apart_from_the_gradient() {
    // Betas that single precision holds exactly, as Keras' form would round others.
    let rule = AdamW::new(0.01).betas(0.5, 0.875).weight_decay(0.1);
    let pytorch = by_hand(|p, [m, v, _], t, g| {
        let lr = 0.01 * factor(t);
        *p -= lr * 0.1 * *p;
        *m = 0.5 * *m + 0.5 * g;
        *v = 0.875 * *v + 0.125 * g * g;
        let (m_hat, v_hat) = (*m / (1.0 - 0.5f64.powi(t as i32)), *v / (1.0 - 0.875f64.powi(t as i32)));
        *p -= lr * m_hat / (v_hat.sqrt() + 1e-3);
    });
    assert_near(&run(rule.eps(1e-3, EpsForm::Pytorch)), &pytorch, "PyTorch");
    let keras = by_hand(|p, [m, v, _], t, g| {
        let lr = 0.01 * factor(t);
        *p -= *p * 0.1 * lr;
        *m += (g - *m) * 0.5;
        *v += (g * g - *v) * 0.125;
        let alpha = lr * (1.0 - 0.875f64.powi(t as i32)).sqrt() / (1.0 - 0.5f64.powi(t as i32));
        *p -= *m * alpha / (v.sqrt() + 1e-3);
    });
    assert_near(&run(rule.eps(1e-3, EpsForm::Keras)), &keras, "Keras");
    // Without decay it is Adam.
    let none = rule.weight_decay(0.0);
    let adam = run(Adam::new(0.01).betas(0.5, 0.875));
    assert_near(&run(none), &adam, "no decay");
    assert!((run(rule)[2] - adam[2]).abs() > 1e-3, "the decay is seen");
}

#[test]
fn rmsprop_is_that_of_pytorch_and_of_keras() {
    for (momentum, centred) in [(0.0, false), (0.5, false), (0.0, true), (0.5, true)] {
        let rule = RmsProp::new(0.01).rho(0.75).momentum(momentum).centred(centred);
        let pytorch = by_hand(|p, [v, buffer, mean], t, g| {
            *v = 0.75 * *v + 0.25 * g * g;
            let mut variance = *v;
            if centred {
                *mean = 0.75 * *mean + 0.25 * g;
                variance -= *mean * *mean;
            }
            *buffer = momentum * *buffer + g / (variance.sqrt() + 1e-3);
            *p -= 0.01 * factor(t) * *buffer;
        });
        let name = format!("momentum {momentum}, centred {centred}");
        assert_near(&run(rule.eps(1e-3, EpsForm::Pytorch)), &pytorch, &name);
        let keras = by_hand(|p, [v, buffer, mean], t, g| {
            *v = 0.75 * *v + 0.25 * g * g;
            let mut denominator = *v;
            if centred {
                *mean = 0.75 * *mean + 0.25 * g;
                denominator -= *mean * *mean;
            }
            let increment = 0.01 * factor(t) * g / (denominator + 1e-3).sqrt();
            *buffer = momentum * *buffer + increment;
            *p -= *buffer;
        });
        assert_near(&run(rule.eps(1e-3, EpsForm::Keras)), &keras, &name);
    }
}

#[test]
fn impossible_numbers_are_errors_that_name_them() {
    let message = |rule: Optimiser| rule.check().unwrap_err().to_string();
    assert!(message(AdamW::new(0.0).into()).contains("learning_rate must be a positive number, got 0"));
    assert!(message(AdamW::new(0.1).weight_decay(-1.0).into()).contains("weight_decay"));
    assert!(message(AdamW::new(0.1).betas(0.5, 1.0).into()).contains("beta2"));
    assert!(message(RmsProp::new(0.1).rho(1.0).into()).contains("rho"));
    assert!(message(RmsProp::new(0.1).momentum(-0.1).into()).contains("momentum"));
    assert!(message(RmsProp::new(0.1).eps(0.0, EpsForm::Keras).into()).contains("eps"));
}

#[test]
fn learning_rates_change_and_all_else_stays() {
    let rule = Optimiser::from(RmsProp::new(0.1).momentum(0.5).centred(true));
    let other = rule.with_learning_rate(0.2);
    assert_eq!(other.learning_rate(), 0.2);
    assert_eq!(other.moments(), ["v", "velocity", "mean"]);
    assert_eq!(format!("{other:?}").replace("0.2", "0.1"), format!("{rule:?}"));
}
