//! Where the buffers of a plan lie on a device.

use gannet_tensor::{BufferKind as PlanKind, Plan, View};

use crate::buffer::{Buffer, BufferKind, Contents, Region, buffer_bytes};

/// Inputs and constants up to this many elements share one buffer; each starts at a multiple of it, which suits
/// WebGPU's default alignment of 256 bytes.
const SMALL: usize = 64;

/// Where a buffer of the plan lies: elements from `base` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The number of the device's buffer.
    pub(crate) buffer: usize,
    pub(crate) base: usize,
}

/// The device's buffers for those of a plan.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) contents: Vec<Contents>,
    /// By the plan's numbers.
    pub(crate) places: Vec<Place>,
}

impl Layout {
    /// A buffer of its own for each of the plan's, but for small inputs and small constants: those share one each.
    pub fn new(plan: &Plan) -> Layout {
        let mut layout = Layout { buffers: Vec::new(), contents: Vec::new(), places: Vec::new() };
        let count = |kind: BufferKind| {
            plan.buffers().iter().filter(|spec| spec.elements <= SMALL && kind_of(&spec.kind) == kind).count()
        };
        let (inputs, constants) = (count(BufferKind::Input), count(BufferKind::Constant));
        let mut shared = |kind, label: &str, count| Pool {
            buffer: (count > 0).then(|| layout.add(label.into(), kind, count * SMALL)),
            next: 0,
        };
        let mut inputs = shared(BufferKind::SmallInputs, "small inputs", inputs);
        let mut constants = shared(BufferKind::Constant, "small constants", constants);
        for (number, spec) in plan.buffers().iter().enumerate() {
            let kind = kind_of(&spec.kind);
            let shared = match kind {
                BufferKind::Input if spec.elements <= SMALL => inputs.take(),
                BufferKind::Constant if spec.elements <= SMALL => constants.take(),
                _ => None,
            };
            let place = shared.unwrap_or_else(|| Place {
                buffer: layout.add(label(plan, number), kind, spec.elements),
                base: 0,
            });
            layout.places.push(place);
            let values = match &spec.kind {
                PlanKind::Fill(value) => vec![*value as f32],
                PlanKind::Constant(values) => values.iter().map(|&value| value as f32).collect(),
                _ => continue,
            };
            let region = Region { buffer: place.buffer, offset: place.base * 4, bytes: spec.elements * 4 };
            layout.contents.push(Contents { region, values });
        }
        layout
    }

    /// Where a tensor of the plan lies.
    pub fn region(&self, view: View) -> Region {
        let place = self.places[view.buffer];
        let offset = (place.base + view.offset) * 4;
        Region { buffer: place.buffer, offset, bytes: view.shape.len() * 4 }
    }

    fn add(&mut self, label: String, kind: BufferKind, elements: usize) -> usize {
        self.buffers.push(Buffer { label, kind, bytes: buffer_bytes(elements) });
        self.buffers.len() - 1
    }
}

/// A buffer that several of a plan's share.
struct Pool {
    buffer: Option<usize>,
    next: usize,
}

impl Pool {
    fn take(&mut self) -> Option<Place> {
        let place = Place { buffer: self.buffer?, base: self.next };
        self.next += SMALL;
        Some(place)
    }
}

fn kind_of(kind: &PlanKind) -> BufferKind {
    match kind {
        PlanKind::Variable(_) => BufferKind::Variable,
        PlanKind::Input(_) => BufferKind::Input,
        PlanKind::Fill(_) | PlanKind::Constant(_) => BufferKind::Constant,
        PlanKind::Temporary => BufferKind::Temporary,
    }
}

/// What a buffer of the plan holds, in words; of a temporary the first value that lies there.
fn label(plan: &Plan, number: usize) -> String {
    match &plan.buffers()[number].kind {
        PlanKind::Variable(name) | PlanKind::Input(name) => name.clone(),
        PlanKind::Fill(value) => format!("{value} everywhere"),
        PlanKind::Constant(_) => "constant".into(),
        PlanKind::Temporary => {
            match plan.instructions().iter().find(|instruction| instruction.output.buffer == number) {
                Some(instruction) => {
                    format!("{} {} of {}", instruction.op.name(), instruction.output.shape, instruction.scope)
                }
                None => "temporary".into(),
            }
        }
    }
}
