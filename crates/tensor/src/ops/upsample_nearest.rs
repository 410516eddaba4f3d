//! y = x with every pixel repeated in blocks.

use crate::ops::prelude::*;

/// Images x [N, H, W, C] with every pixel repeated `factor[0]` times down and `factor[1]` times across.
#[derive(Debug)]
pub struct UpsampleNearest {
    /// Rows and columns that each pixel becomes.
    pub factor: [usize; 2],
}

impl Operation for UpsampleNearest {
    fn name(&self) -> &'static str {
        "upsample_nearest"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let [x] = arity(inputs)?;
        let (&[n, h, w, c], [down, across]) = (x.dims(), self.factor) else {
            return Err(Error::new(format!("expected images [N, H, W, C], got {x}")));
        };
        if down == 0 || across == 0 {
            return Err(Error::new(format!("expected factors of at least 1, got {:?}", self.factor)));
        }
        Shape::new(&[n, h * down, w * across, c])
    }

    fn vjp<'g>(&self, cx: &Vjp<'_, 'g>) -> Gradients<'g> {
        // The adjoint sums each block: its mean times its size.
        let block = (self.factor[0] * self.factor[1]) as f64;
        Ok(vec![Some(cx.cotangent.avg_pool2d(self.factor, self.factor, Padding::Valid) * block)])
    }

    fn flops(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    fn launch(&self, _inputs: &[Shape], output: Shape, _in_place: bool) -> Option<Launch> {
        let &[_, h, w, channels] = output.dims() else { return None };
        let params = shaders::UpsampleNearestParams {
            count: size(output.len()),
            h: size(h),
            w: size(w),
            channels: size(channels),
            factor_h: size(self.factor[0]),
            factor_w: size(self.factor[1]),
        };
        let grid = shaders::grid_1d(shaders::UPSAMPLE_NEAREST, output.len());
        Some(Dispatch::new(shaders::UPSAMPLE_NEAREST, &params, grid, &[Input(0), Output]).into())
    }

    reference!(kernels::upsample_nearest::upsample_nearest);
}

impl<'g> Var<'g> {
    /// These images [N, H, W, C] with every pixel repeated `factor[0]` times down and `factor[1]` across.
    ///
    /// # Panics
    /// When these are not images or a factor is 0.
    #[track_caller]
    pub fn upsample_nearest(self, factor: [usize; 2]) -> Var<'g> {
        self.with(UpsampleNearest { factor }, &[])
    }
}
