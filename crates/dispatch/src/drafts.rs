//! The dispatches of a plan before its buffers are bound: which shader, over which memory, in which order.
//!
//! Dispatches that only copy numbers, or add the parts that another dispatch has left, wait until something asks for
//! their results; those to one buffer then are one dispatch. So a step has few of them: the sums that end the weight
//! gradients and what is copied to its place in the vector of gradients are made at once, before the optimiser reads it.

use gannet_shaders::{
    Access, Argument, BATCH_STATS_FINAL, BATCH_STATS_MERGE, BATCH_STATS_MERGE_RUNNING_1,
    BATCH_STATS_MERGE_RUNNING_2, BATCH_STATS_MERGE_RUNNING_3, BATCH_STATS_RUNNING_1, BATCH_STATS_RUNNING_2,
    BATCH_STATS_RUNNING_3, Dispatch, FUSED_LERP_2_IN_PLACE, FUSED_LERP_3_IN_PLACE, GATHER, GatherParams,
    LERP_IN_PLACE, Launch, Params, Shader, grid_1d,
};
use gannet_tensor::{BufferKind, Instruction, Plan, View};

use crate::layout::Place;

/// Sources that one dispatch of the `gather` shader binds.
const MOST_SOURCES: usize = GATHER.shader.bindings.len() - 1;

/// A dispatch before its buffers exist.
pub(crate) struct Draft {
    pub(crate) shader: &'static Shader,
    pub(crate) params: Vec<u8>,
    pub(crate) workgroups: [u32; 3],
    pub(crate) regions: Vec<Region>,
    /// The instructions that it works for; it is called after the first.
    pub(crate) instructions: Vec<usize>,
}

/// What a binding sees: `elements` from `offset` on.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    pub(crate) memory: Memory,
    pub(crate) offset: usize,
    pub(crate) elements: usize,
}

impl Region {
    fn end(self) -> usize {
        self.offset + self.elements
    }

    fn contains(self, other: Region) -> bool {
        self.offset <= other.offset && other.end() <= self.end()
    }

    fn overlaps(self, other: Region) -> bool {
        self.offset < other.end() && other.offset < self.end()
    }

    /// The memory from its beginning to the end of the region.
    fn whole(self) -> Region {
        Region { offset: 0, elements: self.end(), ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Memory {
    /// A buffer of the plan, by number.
    Plan(usize),
    /// A temporary of the operation in hand, by number. Operations run one after another and share these.
    Scratch(usize),
    /// Something that outlives its operation, by number: parts of a sum that waits, a result on its way.
    Kept(usize),
}

/// The sum of `parts` runs of numbers, `stride` apart, in order, that waits until something asks for it. With one
/// part it is a copy.
struct Sum {
    /// The instructions that ask for it, or did for what is copied from.
    instructions: Vec<usize>,
    /// The first part.
    from: Region,
    to: Region,
    parts: usize,
    stride: usize,
}

impl Sum {
    /// From the first part to the last.
    fn source(&self) -> Region {
        Region { elements: self.from.elements + (self.parts - 1) * self.stride, ..self.from }
    }
}

pub(crate) struct Drafts<'a> {
    plan: &'a Plan,
    places: &'a [Place],
    /// Elements to whose multiples a binding's offset is bound.
    alignment: usize,
    pub(crate) drafts: Vec<Draft>,
    waiting: Vec<Sum>,
    /// The instruction in hand.
    current: usize,
    /// Whether a dispatch may belong to several instructions.
    joined: bool,
    /// Elements of each scratch buffer: the most that any operation asks for.
    pub(crate) scratch: Vec<usize>,
    /// Elements of each buffer of [`Memory::Kept`].
    pub(crate) kept: Vec<usize>,
}

impl<'a> Drafts<'a> {
    pub(crate) fn new(plan: &'a Plan, places: &'a [Place], alignment: usize, joined: bool) -> Drafts<'a> {
        let (drafts, waiting, scratch, kept) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Drafts { plan, places, alignment, drafts, waiting, current: 0, joined, scratch, kept }
    }

    /// Makes the dispatches of all instructions.
    pub(crate) fn made(mut self, launches: Vec<Launch>) -> Drafts<'a> {
        let plan = self.plan;
        let mut launches = plan.instructions().iter().zip(launches).enumerate().peekable();
        while let Some((number, (instruction, launch))) = launches.next() {
            self.current = number;
            let running = launches
                .peek()
                .filter(|_| self.joined)
                .and_then(|(_, (next, then))| self.running(&launch, instruction.output, next, then));
            let taken = running.is_some();
            self.instruction(instruction, launch, running);
            if taken {
                launches.next();
            }
            if !self.joined {
                self.flush();
            }
        }
        self.current = plan.instructions().len();
        self.flush();
        self
    }

    /// Adds the dispatches of an instruction. `running` takes the place of the last one's shader, and adds bindings.
    fn instruction(
        &mut self,
        instruction: &Instruction,
        launch: Launch,
        mut running: Option<(&'static Shader, Vec<Region>)>,
    ) {
        let (inputs, output) = (&instruction.inputs, instruction.output);
        let writes = |dispatch: &Dispatch| dispatch.arguments.contains(&Argument::Output);
        let in_place = inputs.iter().any(|x| x.buffer == output.buffer && x.offset == output.offset);
        let partial = in_place || launch.dispatches.iter().filter(|dispatch| writes(dispatch)).count() > 1;
        // Parts to be summed later must not be overwritten by the next operation.
        let mut temporaries: Vec<Memory> = (0..launch.scratch.len()).map(Memory::Scratch).collect();
        for dispatch in launch.dispatches.iter().filter(|dispatch| dispatch.parts.is_some()) {
            if let Some(&Argument::Scratch(i)) = dispatch.arguments.last() {
                temporaries[i] = self.keep(launch.scratch[i]);
            }
        }
        let count = launch.dispatches.len();
        for (i, dispatch) in launch.dispatches.into_iter().enumerate() {
            let region = |argument: &Argument| match *argument {
                Argument::Input(i) => self.region(inputs[i]),
                Argument::Output => self.region(output),
                Argument::Scratch(i) => {
                    Region { memory: temporaries[i], offset: 0, elements: launch.scratch[i] }
                }
            };
            let mut regions: Vec<Region> = dispatch.arguments.iter().map(region).collect();
            if let Some(parts) = dispatch.parts {
                self.sum(regions[1], regions[0], parts);
                continue;
            }
            let Dispatch { mut shader, params, workgroups, .. } = dispatch;
            let mut instructions = vec![self.current];
            if let Some((other, more)) = running.take_if(|_| i + 1 == count) {
                shader = other;
                regions.extend(more);
                instructions.push(self.current + 1);
            }
            let draft = Draft { shader, params, workgroups, regions, instructions };
            self.add(draft, launch.scratch.len(), partial);
        }
    }

    /// If the next instruction moves running statistics to those that `launch` ends in `stats`, the shader that does
    /// both and what else it binds.
    fn running(
        &self,
        launch: &Launch,
        stats: View,
        next: &Instruction,
        then: &Launch,
    ) -> Option<(&'static Shader, Vec<Region>)> {
        let (last, [moves]) = (launch.dispatches.last()?, &then.dispatches[..]) else { return None };
        let steps = [LERP_IN_PLACE.shader, FUSED_LERP_2_IN_PLACE.shader, FUSED_LERP_3_IN_PLACE.shader];
        let steps = steps.iter().position(|shader| shader.id == moves.shader.id)?;
        let shader = match last.shader.id {
            id if id == BATCH_STATS_FINAL.shader.id => {
                [BATCH_STATS_RUNNING_1, BATCH_STATS_RUNNING_2, BATCH_STATS_RUNNING_3][steps].shader
            }
            id if id == BATCH_STATS_MERGE.shader.id => {
                [BATCH_STATS_MERGE_RUNNING_1, BATCH_STATS_MERGE_RUNNING_2, BATCH_STATS_MERGE_RUNNING_3][steps]
                    .shader
            }
            _ => return None,
        };
        // Inputs: the running statistics, those of the batches in order, the share.
        let [_, earlier @ .., new, share] = &next.inputs[..] else { return None };
        let one_group = last.workgroups[2] == 1;
        if !one_group || *new != stats || earlier.len() != steps {
            return None;
        }
        let (stats, written) = (self.region(stats), self.region(next.output));
        let read: Vec<Region> =
            std::iter::once(share).chain(earlier).map(|view| self.region(*view)).collect();
        let bound = |region: &Region| region.offset.is_multiple_of(self.alignment);
        let apart = |a: Region, b: Region| !self.same(a.memory, b.memory);
        // One dispatch binds a buffer either to read or to write, and to write once.
        let fits = apart(stats, written)
            && read.iter().all(|&region| apart(region, written) && apart(region, stats))
            && std::iter::once(&written).chain(&read).all(bound);
        fits.then(|| (shader, std::iter::once(written).chain(read).collect()))
    }

    fn region(&self, view: View) -> Region {
        let offset = self.places[view.buffer].base + view.offset;
        Region { memory: Memory::Plan(view.buffer), offset, elements: view.shape.len() }
    }

    fn keep(&mut self, elements: usize) -> Memory {
        self.kept.push(elements);
        Memory::Kept(self.kept.len() - 1)
    }

    /// Adds a dispatch. Inputs that cannot be bound where they lie (their offset is not aligned, or they share a
    /// buffer with the output) are copied first, to scratch buffers from number `free` on; an output that is not
    /// aligned is computed elsewhere and copied.
    ///
    /// `partial` says that the output holds something already that this dispatch reads or leaves.
    fn add(&mut self, mut draft: Draft, mut free: usize, partial: bool) {
        let shader = draft.shader;
        let writes = |i: usize| shader.bindings[i].access == Access::ReadWrite;
        let mut written = Vec::new();
        let mut after = None;
        for (_, region) in draft.regions.iter_mut().enumerate().filter(|(i, _)| writes(*i)) {
            if region.offset.is_multiple_of(self.alignment) {
                written.push(region.memory);
                continue;
            }
            let copy = Region { memory: self.keep(region.elements), offset: 0, ..*region };
            if partial {
                self.sum(*region, copy, 1);
            }
            after = Some((copy, *region));
            *region = copy;
        }
        for (_, region) in draft.regions.iter_mut().enumerate().filter(|(i, _)| !writes(*i)) {
            let shared = written.iter().any(|&memory| self.same(memory, region.memory));
            if !region.offset.is_multiple_of(self.alignment) || shared {
                let copy = Region { memory: Memory::Scratch(free), offset: 0, ..*region };
                free += 1;
                self.sum(*region, copy, 1);
                *region = copy;
            }
        }
        for (i, region) in draft.regions.iter().enumerate() {
            self.settle(*region, writes(i));
            self.reserve(*region);
        }
        self.drafts.push(draft);
        if let Some((from, to)) = after {
            self.sum(from, to, 1);
        }
    }

    /// Asks for the sum of the equal, neighbouring parts of `from`.
    fn sum(&mut self, from: Region, to: Region, parts: usize) {
        if self.same(from.memory, to.memory) {
            // One dispatch binds a buffer either to read or to write.
            let copy = Region { memory: self.keep(to.elements), offset: 0, elements: to.elements };
            self.sum(from, copy, parts);
            self.sum(copy, to, 1);
            return;
        }
        let stride = to.elements;
        let first = Region { elements: to.elements, ..from };
        let mut sum = Sum { instructions: vec![self.current], from: first, to, parts, stride };
        // What is copied from a sum that waits is part of that sum.
        let whole = self.waiting.iter().find(|whole| {
            self.same(whole.to.memory, from.memory)
                && whole.to.contains(from)
                && !self.same(whole.from.memory, to.memory)
        });
        match whole {
            Some(whole) if parts == 1 => {
                let offset = whole.from.offset + (from.offset - whole.to.offset);
                let from = Region { offset, elements: to.elements, ..whole.from };
                let instructions = whole.instructions.iter().copied().chain([self.current]).collect();
                sum = Sum { instructions, from, to, parts: whole.parts, stride: whole.stride };
            }
            _ => self.settle(from, false),
        }
        self.settle(to, true);
        self.reserve(sum.from);
        self.reserve(to);
        self.waiting.push(sum);
    }

    /// Makes the sums that have to be made before `region` is read, or written.
    fn settle(&mut self, region: Region, written: bool) {
        let meets =
            |drafts: &Self, other: Region| drafts.same(other.memory, region.memory) && other.overlaps(region);
        while let Some(sum) =
            self.waiting.iter().find(|sum| meets(self, sum.to) || (written && meets(self, sum.source())))
        {
            self.flush_to(sum.to.memory);
        }
    }

    /// Makes all sums that wait.
    fn flush(&mut self) {
        while let Some(sum) = self.waiting.first() {
            self.flush_to(sum.to.memory);
        }
    }

    /// Makes the sums that wait to enter one buffer, as few dispatches.
    fn flush_to(&mut self, memory: Memory) {
        let (mut sums, others): (Vec<Sum>, Vec<Sum>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|sum| self.same(sum.to.memory, memory));
        self.waiting = others;
        sums.retain(|sum| sum.instructions.contains(&self.current) || self.needed(sum.to));
        while let Some(first) = sums.first() {
            let mut params = GatherParams::default();
            let mut sources: Vec<Region> = Vec::new();
            let mut target = first.to.whole();
            let (mut count, mut longest) = (0, 0);
            for sum in &sums {
                let source = sum.source().whole();
                let known = sources.iter_mut().position(|known| self.same(known.memory, source.memory));
                let number = known.unwrap_or(sources.len());
                if count == params.runs.len() || number == MOST_SOURCES {
                    break;
                }
                if known.is_none() {
                    sources.push(source);
                }
                sources[number].elements = sources[number].elements.max(source.elements);
                target.elements = target.elements.max(sum.to.end());
                params.runs[count] =
                    [sum.from.offset, sum.to.offset, sum.to.elements, 0].map(|number| number as u32);
                params.parts[count] = [number, sum.parts, sum.stride, 0].map(|number| number as u32);
                longest = longest.max(sum.to.elements);
                count += 1;
            }
            let mut instructions: Vec<usize> = Vec::new();
            for number in sums.drain(..count).flat_map(|sum| sum.instructions) {
                if !instructions.contains(&number) {
                    instructions.push(number);
                }
            }
            sources.resize(MOST_SOURCES, sources[0]);
            let [x, y, _] = grid_1d(GATHER, longest);
            self.drafts.push(Draft {
                shader: GATHER.shader,
                params: params.to_bytes(),
                workgroups: [x, y, count as u32],
                regions: std::iter::once(target).chain(sources).collect(),
                instructions,
            });
        }
    }

    /// Whether what belongs in `region` is read by the instruction in hand or a later one, or outlives the run.
    fn needed(&self, region: Region) -> bool {
        let Memory::Plan(buffer) = region.memory else { return true };
        let spec = &self.plan.buffers()[buffer];
        if !self.joined || (spec.lasting && spec.kind != BufferKind::Temporary) {
            return true;
        }
        let lies = |view: &View| {
            let other = self.region(*view);
            self.same(other.memory, region.memory).then_some(other)
        };
        for instruction in &self.plan.instructions()[self.current..] {
            if instruction.inputs.iter().filter_map(lies).any(|input| input.overlaps(region)) {
                return true;
            }
            if lies(&instruction.output).is_some_and(|output| output.contains(region)) {
                return false;
            }
        }
        let outputs = (0..self.plan.outputs().len()).map(|i| self.plan.output_view(i));
        outputs.into_iter().any(|view| lies(&view).is_some_and(|output| output.overlaps(region)))
    }

    /// Whether two memories are one buffer of the device.
    fn same(&self, a: Memory, b: Memory) -> bool {
        a == b || (self.buffer_of(a).is_some() && self.buffer_of(a) == self.buffer_of(b))
    }

    /// The device's buffer behind a buffer of the plan.
    fn buffer_of(&self, memory: Memory) -> Option<usize> {
        match memory {
            Memory::Plan(buffer) => Some(self.places[buffer].buffer),
            Memory::Scratch(_) | Memory::Kept(_) => None,
        }
    }

    /// Makes sure that the scratch buffer behind a region is large enough.
    fn reserve(&mut self, region: Region) {
        if let Memory::Scratch(slot) = region.memory {
            if self.scratch.len() <= slot {
                self.scratch.resize(slot + 1, 1);
            }
            self.scratch[slot] = self.scratch[slot].max(region.end());
        }
    }
}
