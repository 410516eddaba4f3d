//! Operations on one element at a time: one loop over vectors, one line per operation.

use crate::context::{Context, Workspace};
use crate::gemm::microkernel::Activation;
use crate::kernel::{CHUNK, Kernel, Tensors, in_chunks};
use crate::math;
use crate::simd::{Job, Simd};
use crate::strided::Strided;
use gannet_tensor::{Element, Instruction, ops};

/// y = f(x)
trait Unary: Copy + Send + Sync + 'static {
    fn apply<V: Simd>(self, x: V) -> V;
}

/// y = f(a, b)
trait Binary: Copy + Send + Sync + 'static {
    fn apply<V: Simd>(self, a: V, b: V) -> V;
}

macro_rules! unary {
    ($($name:ident { $($field:ident),* } ($x:ident) $V:ident => $body:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            struct $name { $($field: f32),* }

            impl Unary for $name {
                #[inline(always)]
                fn apply<$V: Simd>(self, $x: $V) -> $V {
                    $(let $field = $V::splat(self.$field);)*
                    $body
                }
            }
        )*
    };
}

macro_rules! binary {
    ($($name:ident { $($field:ident),* } ($a:ident, $b:ident) $V:ident => $body:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            struct $name { $($field: f32),* }

            impl Binary for $name {
                #[inline(always)]
                fn apply<$V: Simd>(self, $a: $V, $b: $V) -> $V {
                    $(let $field = $V::splat(self.$field);)*
                    $body
                }
            }
        )*
    };
}

unary! {
    Copied {} (x) V => x;
    Abs {} (x) V => x.abs();
    Affine { scale, shift } (x) V => x.mul_add(scale, shift);
    Exp {} (x) V => math::exp(x);
    Log {} (x) V => math::log(x);
    Sqrt {} (x) V => x.sqrt();
    Square {} (x) V => x.mul(x);
    Reciprocal {} (x) V => V::splat(1.0).div(x);
    Sign {} (x) V => {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        x.select_gt(zero, one, zero.select_gt(x, zero.sub(one), zero))
    };
    // In this order of operands NaN passes through.
    Clamp { low, high } (x) V => high.min(low.max(x));
    LeakyRelu { slope } (x) V => x.select_gt(V::splat(0.0), x, x.mul(slope));
    Tanh {} (x) V => math::tanh(x);
    Sigmoid {} (x) V => math::sigmoid(x);
    Softplus {} (x) V => math::softplus(x);
    Silu {} (x) V => x.mul(math::sigmoid(x));
    Gelu {} (x) V => x.mul(math::normal_cdf(x));
    NormalCdf {} (x) V => math::normal_cdf(x);
    Elu { alpha } (x) V => x.select_gt(V::splat(0.0), x, alpha.mul(math::exp_m1(x)));
}

binary! {
    Add {} (a, b) V => a.add(b);
    Sub {} (a, b) V => a.sub(b);
    Mul {} (a, b) V => a.mul(b);
    Div {} (a, b) V => a.div(b);
    Maximum {} (a, b) V => a.max(b);
    Greater {} (a, b) V => a.select_gt(b, V::splat(1.0), V::splat(0.0));
    ClampMask { low, high } (x, dy) V => {
        let zero = V::splat(0.0);
        low.select_gt(x, zero, x.select_gt(high, zero, dy))
    };
    LeakyReluGrad { slope } (y, dy) V => y.select_gt(V::splat(0.0), dy, dy.mul(slope));
    EluGrad { alpha } (y, dy) V => y.select_gt(V::splat(0.0), dy, dy.mul(y.add(alpha)));
    TanhGrad {} (y, dy) V => Activation::Tanh.grad(y, dy);
    SigmoidGrad {} (y, dy) V => Activation::Sigmoid.grad(y, dy);
    // max(x, 0) - x t + ln(1 + e^-|x|), the last two terms of softplus(x) - x t.
    BceLogits {} (x, t) V => math::softplus(x).sub(x.mul(t));
}

pub(super) fn prepare(instruction: &Instruction) -> Option<Box<dyn Kernel>> {
    let op = &*instruction.op;
    let len = instruction.output.shape.len();
    macro_rules! choose {
        ($($operation:ident => $kernel:expr,)*) => {
            $(if let Some(op) = op.downcast::<ops::$operation>() {
                let _ = op;
                #[allow(clippy::redundant_closure_call)]
                return Some(($kernel)(op));
            })*
        };
    }
    choose! {
        CopyTo => |_| map(len, Copied {}),
        Abs => |_| map(len, Abs {}),
        Affine => |op: &ops::Affine| map(len, Affine { scale: op.scale as f32, shift: op.shift as f32 }),
        Exp => |_| map(len, Exp {}),
        Log => |_| map(len, Log {}),
        Sqrt => |_| map(len, Sqrt {}),
        Square => |_| map(len, Square {}),
        Reciprocal => |_| map(len, Reciprocal {}),
        Sign => |_| map(len, Sign {}),
        Clamp => |op: &ops::Clamp| map(len, Clamp { low: op.low as f32, high: op.high as f32 }),
        LeakyRelu => |op: &ops::LeakyRelu| map(len, LeakyRelu { slope: op.negative_slope as f32 }),
        Tanh => |_| map(len, Tanh {}),
        Sigmoid => |_| map(len, Sigmoid {}),
        Softplus => |_| map(len, Softplus {}),
        Silu => |_| map(len, Silu {}),
        Gelu => |_| map(len, Gelu {}),
        NormalCdf => |_| map(len, NormalCdf {}),
        Elu => |op: &ops::Elu| map(len, Elu { alpha: op.alpha as f32 }),
        Accumulate => |_| zip(instruction, Add {}),
        Add => |_| zip(instruction, Add {}),
        Sub => |_| zip(instruction, Sub {}),
        Mul => |_| zip(instruction, Mul {}),
        Div => |_| zip(instruction, Div {}),
        Maximum => |_| zip(instruction, Maximum {}),
        Greater => |_| zip(instruction, Greater {}),
        ClampMask => |op: &ops::ClampMask| {
            zip(instruction, ClampMask { low: op.low as f32, high: op.high as f32 })
        },
        LeakyReluGrad => |op: &ops::LeakyReluGrad| {
            zip(instruction, LeakyReluGrad { slope: op.negative_slope as f32 })
        },
        EluGrad => |op: &ops::EluGrad| zip(instruction, EluGrad { alpha: op.alpha as f32 }),
        TanhGrad => |_| zip(instruction, TanhGrad {}),
        SigmoidGrad => |_| zip(instruction, SigmoidGrad {}),
        BceLogits => |_| zip(instruction, BceLogits {}),
        Lerp => |_| -> Box<dyn Kernel> { Box::new(Lerp { len }) },
        StopGradient => |_| map(len, Copied {}),
        FusedLerp => |_| -> Box<dyn Kernel> {
            Box::new(Formula { len, of: Of::Lerp { steps: instruction.inputs.len() - 2 } })
        },
        FusedSigmoidAffine => |op: &ops::FusedSigmoidAffine| -> Box<dyn Kernel> {
            let [scale, shift, sum] = [op.scale, op.shift, op.scale + op.shift].map(|x| x as f32);
            Box::new(Formula { len, of: Of::SigmoidAffine { scale, shift, sum } })
        },
        FusedBceSum => |op: &ops::FusedBceSum| -> Box<dyn Kernel> {
            Box::new(BceSum { len: instruction.inputs[0].shape.len(), scale: op.scale as f32 })
        },
        Dropout => |op: &ops::Dropout| -> Box<dyn Kernel> { Box::new(Dropout::new(op, len)) },
    }
    None
}

fn map<F: Unary>(len: usize, f: F) -> Box<dyn Kernel> {
    Box::new(Map { len, f })
}

struct Map<F> {
    len: usize,
    f: F,
}

impl<F: Unary> Kernel for Map<F> {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        in_chunks(context, self.len, CHUNK, |range| {
            let x = tensors.input(0).wrapping_add(range.start);
            let y = tensors.output.wrapping_add(range.start);
            // SAFETY: Kernel::run's contract; each task has a range of its own.
            unsafe { context.isa.run(MapJob { f: self.f, x, y, len: range.len() }) };
        });
    }
}

struct MapJob<F> {
    f: F,
    x: *const f32,
    y: *mut f32,
    len: usize,
}

impl<F: Unary> Job for MapJob<F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let whole = self.len / V::LANES * V::LANES;
        for i in (0..whole).step_by(V::LANES) {
            // SAFETY: Kernel::run's contract; i + LANES <= len. x and y may be the same.
            unsafe { self.f.apply(V::load(self.x.add(i))).store(self.y.add(i)) };
        }
        if whole < self.len {
            let rest = self.len - whole;
            // SAFETY: Kernel::run's contract.
            unsafe {
                let x = V::load_first(self.x.add(whole), rest);
                self.f.apply(x).store_first(self.y.add(whole), rest);
            }
        }
    }
}

fn zip<F: Binary>(instruction: &Instruction, f: F) -> Box<dyn Kernel> {
    let shape = instruction.output.shape;
    let strides = [0, 1].map(|i| instruction.inputs[i].shape.broadcast_strides(shape));
    Box::new(Zip { loops: Strided::new(shape, strides), f })
}

struct Zip<F> {
    loops: Strided<2>,
    f: F,
}

impl<F: Binary> Kernel for Zip<F> {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        let (len, steps) = self.loops.inner();
        let job = |run: usize, at: usize, len: usize| {
            let [a, b] = self.loops.start(run);
            // SAFETY: Kernel::run's contract; each task has elements of its own.
            unsafe {
                context.isa.run(ZipJob {
                    f: self.f,
                    a: tensors.input(0).wrapping_add(a + at * steps[0]),
                    b: tensors.input(1).wrapping_add(b + at * steps[1]),
                    y: tensors.output.wrapping_add(run * self.loops.inner().0 + at),
                    steps,
                    len,
                })
            };
        };
        if self.loops.runs() == 1 {
            in_chunks(context, len, CHUNK, |range| job(0, range.start, range.len()));
        } else {
            in_chunks(context, self.loops.runs(), (CHUNK / len).max(1), |runs| {
                for run in runs {
                    job(run, 0, len);
                }
            });
        }
    }
}

struct ZipJob<F> {
    f: F,
    a: *const f32,
    b: *const f32,
    y: *mut f32,
    /// 1, or 0 for an operand that has one element for the whole run.
    steps: [usize; 2],
    len: usize,
}

impl<F: Binary> Job for ZipJob<F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        match self.steps {
            [1, 1] => self.loops::<V, 1, 1>(),
            [1, _] => self.loops::<V, 1, 0>(),
            [_, 1] => self.loops::<V, 0, 1>(),
            _ => self.loops::<V, 0, 0>(),
        }
    }
}

impl<F: Binary> ZipJob<F> {
    #[inline(always)]
    fn loops<V: Simd, const A: usize, const B: usize>(&self) {
        // SAFETY: Kernel::run's contract; an operand of step 0 has an element. The output may be a or b.
        unsafe {
            let (a, b) = (V::splat(*self.a), V::splat(*self.b));
            let whole = self.len / V::LANES * V::LANES;
            for i in (0..whole).step_by(V::LANES) {
                let a = if A == 1 { V::load(self.a.add(i)) } else { a };
                let b = if B == 1 { V::load(self.b.add(i)) } else { b };
                self.f.apply(a, b).store(self.y.add(i));
            }
            if whole < self.len {
                let rest = self.len - whole;
                let a = if A == 1 { V::load_first(self.a.add(whole), rest) } else { a };
                let b = if B == 1 { V::load_first(self.b.add(whole), rest) } else { b };
                self.f.apply(a, b).store_first(self.y.add(whole), rest);
            }
        }
    }
}

/// a + t (b - a)
#[derive(Clone, Copy)]
struct Towards {
    t: f32,
}

impl Binary for Towards {
    #[inline(always)]
    fn apply<V: Simd>(self, a: V, b: V) -> V {
        b.sub(a).mul_add(V::splat(self.t), a)
    }
}

struct Lerp {
    len: usize,
}

impl Kernel for Lerp {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        // SAFETY: t has one element.
        let f = Towards { t: unsafe { *tensors.input(2) } };
        let tensors = &tensors;
        in_chunks(context, self.len, CHUNK, |range| {
            let [a, b] = [0, 1].map(|i| tensors.input(i).wrapping_add(range.start));
            let y = tensors.output.wrapping_add(range.start);
            // SAFETY: Kernel::run's contract; each task has elements of its own.
            unsafe { context.isa.run(ZipJob { f, a, b, y, steps: [1, 1], len: range.len() }) };
        });
    }
}

/// Functions of a few elements, by the operations of their definition.
struct Formula {
    len: usize,
    of: Of,
}

enum Of {
    /// Inputs: a, one or more b, t. y = a; then for each b, y = y + t (b - y).
    Lerp { steps: usize },
    /// y = scale sigmoid(x) + shift. For positive x from sigmoid(x) = 1 - sigmoid(-x), which keeps its digits when the
    /// sigmoid is nearly 1 and shift is -scale; sum is scale + shift.
    SigmoidAffine { scale: f32, shift: f32, sum: f32 },
}

impl Kernel for Formula {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let tensors = &tensors;
        // SAFETY, for all: Kernel::run's contract. The output may be the first input.
        // SAFETY: see above.
        let element = |input: usize, i: usize| unsafe { *tensors.input(input).add(i) };
        in_chunks(context, self.len, CHUNK, |range| {
            for i in range {
                let y = match self.of {
                    Of::Lerp { steps } => {
                        let t = element(steps + 1, 0);
                        (1..=steps).fold(element(0, i), |y, b| y + t * (element(b, i) - y))
                    }
                    Of::SigmoidAffine { scale, shift, sum } => {
                        let sigmoid = |x: f32| ops::Activation::Sigmoid.eval(x);
                        let x = element(0, i);
                        if x > 0.0 { sum - scale * sigmoid(-x) } else { scale * sigmoid(x) + shift }
                    }
                };
                // SAFETY: see above.
                unsafe { *tensors.output.add(i) = y };
            }
        });
    }
}

/// scale times the sum of the binary cross-entropies of logits x and targets t, in blocks of fixed lengths.
struct BceSum {
    len: usize,
    scale: f32,
}

impl Kernel for BceSum {
    fn workspace(&self) -> Workspace {
        Workspace { shared: self.len.div_ceil(CHUNK), own: 0 }
    }

    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        let (tensors, sums) = (&tensors, context.shared());
        // SAFETY, for all: Kernel::run's contract; the workspace has a sum for each block.
        // SAFETY: see above.
        let element = |input: usize, i: usize| unsafe { *tensors.input(input).add(i) };
        in_chunks(context, self.len, CHUNK, |range| {
            let mut sum = 0.0_f32;
            let block = range.start / CHUNK;
            for i in range {
                let (x, t) = (element(0, i), element(1, i));
                sum += Element::max(x, 0.0) - x * t + (-x.abs()).exp().ln_1p();
            }
            // SAFETY: see above.
            unsafe { *sums.at(block) = sum };
        });
        // SAFETY: see above.
        let total: f32 = (0..self.len.div_ceil(CHUNK)).map(|block| unsafe { *sums.at(block) }).sum();
        // SAFETY: see above.
        unsafe { *tensors.output = self.scale * total };
    }
}

struct Dropout {
    seed: u32,
    threshold: u32,
    scale: f32,
    len: usize,
}

impl Dropout {
    fn new(op: &ops::Dropout, len: usize) -> Dropout {
        let scale = 1.0 / (1.0 - op.rate as f32);
        Dropout { seed: op.seed, threshold: op.threshold(), scale, len }
    }
}

impl Kernel for Dropout {
    unsafe fn run(&self, context: &Context<'_>, tensors: Tensors<'_>) {
        // SAFETY: the counter has one element.
        let counter = unsafe { *tensors.input(1) } as u32;
        let tensors = &tensors;
        in_chunks(context, self.len, CHUNK, |range| {
            let (x, y) = (tensors.input(0), tensors.output);
            // SAFETY: Kernel::run's contract; each task has a range of its own.
            unsafe { context.isa.run(DropoutJob { kernel: self, counter, x, y, range }) };
        });
    }
}

struct DropoutJob<'a> {
    kernel: &'a Dropout,
    counter: u32,
    x: *const f32,
    y: *mut f32,
    range: std::ops::Range<usize>,
}

impl Job for DropoutJob<'_> {
    type Output = ();

    // Integer arithmetic per element, which the compiler vectorises with the features of the job.
    #[inline(always)]
    unsafe fn run<V: Simd>(self) {
        let &Dropout { seed, threshold, scale, .. } = self.kernel;
        for i in self.range {
            let keep = ops::Dropout::hash(seed, self.counter, i as u32) >> 8 >= threshold;
            // SAFETY: Kernel::run's contract.
            unsafe { *self.y.add(i) = if keep { *self.x.add(i) * scale } else { 0.0 } };
        }
    }
}
