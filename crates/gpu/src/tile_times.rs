//! What a product takes by each of its tiles.

use std::time::{Duration, Instant};

use gannet_dispatch::{Product, buffer_bytes};
use gannet_shaders::{Dispatch, Shader, Tile};
use gannet_tensor::{Error, Result};

use crate::buffer::Buffer;
use crate::device::Wgpu;
use crate::executable::bound;
use crate::stopwatch::Stopwatch;

/// A sample takes at least so many seconds, where that is not more than `MOST` dispatches.
const SAMPLE: f64 = 2e-3;
const MOST: u32 = 1024;

/// The samples of each tile, of which the best counts. They take turns: clocks rise and fall meanwhile.
const SAMPLES: usize = 5;

/// No further samples are taken of a product that has taken so long: a device that is so slow needs no more of them.
const LONG: Duration = Duration::from_millis(500);

/// A tile is better than the rule's if it takes less than this share of its time; what is less is noise.
const CLEARLY: f64 = 0.97;

/// Numbers of the pattern that operands are filled with: nothing but zeros would warm a device less.
const PATTERN: usize = 1 << 18;

/// What a product takes by each of its tiles.
#[derive(Clone, Debug, PartialEq)]
pub struct TileTimes {
    /// The tile that the rule chooses.
    pub rule: Tile,
    /// Seconds of one dispatch by each tile that fits.
    pub seconds: Vec<(Tile, f64)>,
}

impl TileTimes {
    /// What a tile takes, in seconds.
    pub fn of(&self, tile: Tile) -> Option<f64> {
        self.seconds.iter().find(|(known, _)| *known == tile).map(|(_, seconds)| *seconds)
    }

    /// The fastest tile: the rule's, unless another is faster by more than noise.
    pub fn best(&self) -> Tile {
        let fastest = self.seconds.iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
        match (fastest, self.of(self.rule)) {
            (Some(&(fastest, seconds)), Some(rule)) if seconds < CLEARLY * rule => fastest,
            _ => self.rule,
        }
    }
}

/// A dispatch that is ready to be recorded.
struct Ready {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl Ready {
    fn record(&self, pass: &mut wgpu::ComputePass<'_>, count: u32) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        (0..count).for_each(|_| pass.dispatch_workgroups(x, y, z));
    }
}

impl Wgpu {
    /// Compiles the shaders of all tiles of these products, where that has not been done: at once, and not one by one as they
    /// are timed.
    ///
    /// # Errors
    /// When the driver refuses one.
    pub fn prepare_tiles<'a>(&self, products: impl IntoIterator<Item = &'a Product>) -> Result<()> {
        let dispatches = products.into_iter().flat_map(|product| &product.dispatches);
        let shaders: Vec<&'static Shader> = dispatches.map(|(_, dispatch)| dispatch.shader).collect();
        self.pipelines.prepare(&self.gpu, &shaders)
    }

    /// Times a product by each of its tiles, on operands of its own: by timestamp queries where the adapter has them, otherwise
    /// by the host's clock.
    ///
    /// ```no_run
    /// use gannet_gpu::{Options, Tiles, Wgpu, products};
    /// use gannet_tensor::Graph;
    ///
    /// let graph = Graph::new();
    /// let y = graph.input("x", [128, 100]).matmul(graph.input("w", [100, 6272]));
    /// let plan = graph.plan().output("y", y).build()?;
    ///
    /// let gpu = Wgpu::new(&Options::default())?;
    /// let mut tiles = Tiles::new();
    /// for product in products(&plan)? {
    ///     tiles.insert(product.name.clone(), gpu.time_tiles(&product)?.best());
    /// }
    /// let gpu = gpu.with_tiles(tiles);
    /// # Ok::<(), gannet_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the device has no memory for the operands or fails.
    pub fn time_tiles(&self, product: &Product) -> Result<TileTimes> {
        self.prepare_tiles([product])?;
        let mut buffers = Vec::new();
        for elements in &product.elements {
            buffers.push(self.gpu.tensor(&product.name, buffer_bytes(*elements))?);
        }
        self.fill(&buffers)?;
        let mut ready = Vec::new();
        for (tile, dispatch) in &product.dispatches {
            ready.push((*tile, self.ready(product, dispatch, &buffers)?));
        }
        let Some((_, first)) = ready.first() else {
            return Err(Error::new(format!("the product {} has no tiles", product.name)));
        };
        let began = Instant::now();
        let mut count = 1;
        let mut took = self.sample(first, count, self.has_timestamps())?;
        // Timestamps that stand still are of no use.
        let timestamps = self.has_timestamps() && took > 0.0;
        while count < MOST && took < SAMPLE {
            count *= 2;
            took = self.sample(first, count, timestamps)?;
        }
        let mut seconds: Vec<(Tile, f64)> = ready.iter().map(|(tile, _)| (*tile, f64::INFINITY)).collect();
        for turn in 0..SAMPLES {
            if turn > 0 && began.elapsed() > LONG {
                break;
            }
            for ((_, ready), (_, best)) in ready.iter().zip(&mut seconds) {
                *best = best.min(self.sample(ready, count, timestamps)? / f64::from(count));
            }
        }
        Ok(TileTimes { rule: product.rule, seconds })
    }

    /// Fills buffers with numbers from -1 to 1.
    fn fill(&self, buffers: &[Buffer]) -> Result<()> {
        let number = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
        let numbers: Vec<f32> = (0..PATTERN as u32).map(number).collect();
        let pattern = self.gpu.tensor("a pattern", PATTERN * 4)?;
        self.gpu.queue.write_buffer(&pattern.raw, 0, bytemuck::cast_slice(&numbers));
        let mut encoder =
            self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("fill") });
        for buffer in buffers {
            for at in (0..buffer.bytes).step_by(PATTERN * 4) {
                let bytes = pattern.bytes.min(buffer.bytes - at);
                encoder.copy_buffer_to_buffer(&pattern.raw, 0, &buffer.raw, at, bytes);
            }
        }
        self.gpu.submit(encoder);
        self.gpu.check()
    }

    fn ready(&self, product: &Product, dispatch: &Dispatch, buffers: &[Buffer]) -> Result<Ready> {
        let gpu = &self.gpu;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = gpu.buffer("parameters", dispatch.params.len() as u64, usage)?;
        gpu.queue.write_buffer(&params.raw, 0, &dispatch.params);
        let pipeline = self.pipelines.get(dispatch.shader)?;
        let storage = dispatch.shader.bindings.iter().zip(buffers);
        let storage = storage.map(|(binding, buffer)| bound(binding.index, buffer, 0, buffer.bytes as usize));
        let entries: Vec<wgpu::BindGroupEntry<'_>> =
            std::iter::once(bound(0, &params, 0, dispatch.shader.params_size)).chain(storage).collect();
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(dispatch.shader.name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(Error::new(format!("binding the buffers of {}: {error}", product.name))),
            None => Ok(Ready { pipeline: pipeline.raw.clone(), bind_group, workgroups: dispatch.workgroups }),
        }
    }

    /// What `count` dispatches one after the other take, in seconds.
    fn sample(&self, ready: &Ready, count: u32, timestamps: bool) -> Result<f64> {
        let gpu = &self.gpu;
        let label = Some("a product");
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
        let mut pass = |timestamp_writes| {
            let descriptor = wgpu::ComputePassDescriptor { label, timestamp_writes };
            ready.record(&mut encoder.begin_compute_pass(&descriptor), count);
        };
        if timestamps {
            let stopwatch = Stopwatch::new(gpu, 1)?;
            pass(Some(stopwatch.writes(0)));
            return Ok(stopwatch.seconds(gpu, encoder)?.iter().sum());
        }
        pass(None);
        let began = Instant::now();
        let submission = gpu.submit(encoder);
        gpu.wait(submission)?;
        Ok(began.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_stands_unless_another_tile_is_clearly_faster() {
        let best = |seconds: &[(Tile, f64)]| TileTimes { rule: Tile::Vec4, seconds: seconds.to_vec() }.best();
        assert_eq!(best(&[(Tile::Plain, 2.0), (Tile::Vec4, 1.0), (Tile::Tall, 0.99)]), Tile::Vec4);
        assert_eq!(best(&[(Tile::Vec4, 1.0), (Tile::Tall, 0.9), (Tile::Large, 0.95)]), Tile::Tall);
        assert_eq!(best(&[(Tile::Plain, 0.5), (Tile::Vec4, 1.0)]), Tile::Plain);
        assert_eq!(best(&[]), Tile::Vec4);
        let times = TileTimes { rule: Tile::Vec4, seconds: vec![(Tile::Tall, 0.5)] };
        assert_eq!((times.of(Tile::Tall), times.of(Tile::Vec4)), (Some(0.5), None));
    }
}
