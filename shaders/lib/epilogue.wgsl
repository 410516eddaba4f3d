// What a kernel does to a result before it stores it. params.activation is 0 for none, 1 for leaky ReLU with
// params.slope, 2 for tanh, 3 for the sigmoid.
#import math

fn activate(x: f32) -> f32 {
    switch params.activation {
        case 1u: { return select(params.slope * x, x, x > 0.0); }
        case 2u: { return tanh_f32(x); }
        case 3u: { return sigmoid_f32(x); }
        default: { return x; }
    }
}

// The vjp of the activation whose output was y.
fn activate_grad(y: f32, dy: f32) -> f32 {
    switch params.activation {
        case 1u: { return select(params.slope * dy, dy, y > 0.0); }
        case 2u: { return dy * fma(-y, y, 1.0); }
        case 3u: { return dy * y * (1.0 - y); }
        default: { return dy; }
    }
}
