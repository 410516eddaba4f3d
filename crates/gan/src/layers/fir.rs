//! Filters with a finite impulse response, which images are made smaller and larger by.

use gannet_tensor::{Padding, Var};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The most taps of a filter.
const MOST_TAPS: usize = 16;

/// The taps of a filter along rows and along columns, as they stand in a model file; their sum is divided out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Taps(Vec<f64>);

impl Default for Taps {
    /// Those of StyleGAN2.
    fn default() -> Taps {
        Taps(vec![1.0, 3.0, 3.0, 1.0])
    }
}

impl Taps {
    pub(super) fn new(taps: impl Into<Vec<f64>>) -> Taps {
        Taps(taps.into())
    }

    pub(super) fn check(&self) -> Result<()> {
        let sum: f64 = self.0.iter().sum();
        if (2..=MOST_TAPS).contains(&self.0.len()) && sum.is_finite() && sum > 0.0 {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "filter: expected 2 to {MOST_TAPS} numbers with a positive sum, like [1, 3, 3, 1], got {:?}",
            self.0
        )))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The taps along one axis, with this sum.
    pub(crate) fn scaled(&self, sum: f64) -> Vec<f64> {
        let factor = sum / self.0.iter().sum::<f64>();
        self.0.iter().map(|tap| tap * factor).collect()
    }

    /// Of all the pixels of a side that the taps of the first and of the last pixel reach, those beyond the image; where it is
    /// made larger, beyond the result. The taps of each side lie evenly about the pixels of the other.
    pub(crate) fn beyond(&self, way: Way) -> [usize; 2] {
        let both = self.len() - 2;
        match way {
            Way::Down => [both - both / 2, both / 2],
            Way::Up => [both / 2, both - both / 2],
        }
    }

    /// Images [N, H, W, C] of half or twice the height and width.
    pub(super) fn resample<'g>(&self, x: Var<'g>, way: Way) -> Var<'g> {
        let &[n, _, w, c] = x.shape().dims() else { unreachable!("images of shape {}", x.shape()) };
        let sum = match way {
            Way::Down => 1.0,
            // Of every pixel there are two.
            Way::Up => 2.0,
        };
        let kernel = x.graph().constant([self.len(), 1, 1, 1], &self.scaled(sum));
        let [top, bottom] = self.beyond(way);
        let padding = Padding::Explicit { top, bottom, left: 0, right: 0 };
        // Lines of numbers that have nothing to do with one another are columns of images with one channel.
        let along = |x: Var<'g>| match way {
            Way::Down => x.conv2d(kernel, [2, 1], padding),
            Way::Up => x.conv_transpose2d(kernel, [2, 1], padding, None),
        };
        let rows = along(x.reshape([n, x.shape().dims()[1], w * c, 1]));
        let h = rows.shape().dims()[1];
        let columns = along(rows.reshape([n * h, w, c, 1]));
        columns.reshape([n, h, columns.shape().dims()[1], c])
    }
}

/// Whether images become smaller or larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Down,
    Up,
}
