// The activation that a product applies to what it stores: params.activation is 0 for none, 1 for leaky ReLU
// with params.slope, 2 for tanh, 3 for the sigmoid.
#import math

fn activate(v: f32) -> f32 {
    switch params.activation {
        case 1u: { return select(params.slope * v, v, v > 0.0); }
        case 2u: { return tanh_f32(v); }
        case 3u: { return sigmoid_f32(v); }
        default: { return v; }
    }
}

fn activate4(v: vec4<f32>) -> vec4<f32> {
    switch params.activation {
        case 0u: { return v; }
        case 1u: { return select(params.slope * v, v, v > vec4(0.0)); }
        default: { return vec4(activate(v.x), activate(v.y), activate(v.z), activate(v.w)); }
    }
}
