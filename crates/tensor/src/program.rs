//! A plan made ready to run on a backend, and the variables that programs share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::backend::Backend;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::shape::Shape;

/// Named tensors on a device that keep their values from run to run. Programs made with the same
/// variables share them: one trains, another generates.
pub struct Variables<B: Backend> {
    entries: BTreeMap<String, (Shape, B::Storage)>,
    /// The memory of temporaries of [programs that are run in turn](Program::in_turn), and how many elements each has.
    scratch: Vec<(usize, B::Storage)>,
}

impl<B: Backend> Default for Variables<B> {
    fn default() -> Self {
        Variables::new()
    }
}

impl<B: Backend> Variables<B> {
    /// No variables.
    pub fn new() -> Variables<B> {
        Variables { entries: BTreeMap::new(), scratch: Vec::new() }
    }

    /// Adds a variable with the given values, row-major. Errors when there is one of that name already,
    /// when the number of values is not that of the shape, or when the device has no room.
    pub fn insert(&mut self, backend: &B, name: &str, shape: Shape, values: &[B::Element]) -> Result<()> {
        if self.entries.contains_key(name) {
            return Err(Error::new(format!("there is a variable '{name}' already")));
        }
        let storage = backend.allocate(name, shape.len())?;
        self.entries.insert(name.into(), (shape, storage));
        self.write(backend, name, values)
    }

    /// Adds the variables of `other`, which from then on both share: a change through one is seen through the
    /// other. Errors, and adds none, when there is one of the same name already.
    pub fn share(&mut self, other: &Variables<B>) -> Result<()> {
        if let Some(name) = other.entries.keys().find(|name| self.entries.contains_key(*name)) {
            return Err(Error::new(format!("there is a variable '{name}' already")));
        }
        self.entries.extend(other.entries.iter().map(|(name, entry)| (name.clone(), entry.clone())));
        Ok(())
    }

    /// Overwrites a variable.
    pub fn write(&self, backend: &B, name: &str, values: &[B::Element]) -> Result<()> {
        let (shape, storage) = self.entry(name)?;
        check_length("variable", name, *shape, values.len())?;
        backend.write(storage, values)
    }

    /// The values of a variable, row-major.
    pub fn read(&self, backend: &B, name: &str) -> Result<Vec<B::Element>> {
        let (shape, storage) = self.entry(name)?;
        let mut out = vec![B::Element::ZERO; shape.len()];
        backend.read(storage, &mut out)?;
        Ok(out)
    }

    /// [`read`](Variables::read) into memory of the caller's.
    pub fn read_into(&self, backend: &B, name: &str, out: &mut [B::Element]) -> Result<()> {
        let (shape, storage) = self.entry(name)?;
        check_length("variable", name, *shape, out.len())?;
        backend.read(storage, out)
    }

    /// The names and shapes, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Shape)> {
        self.entries.iter().map(|(name, (shape, _))| (name.as_str(), *shape))
    }

    /// The elements of the memory that temporaries of [programs that are run in turn](Program::in_turn) share.
    pub fn scratch_len(&self) -> usize {
        self.scratch.iter().map(|(elements, _)| elements).sum()
    }

    /// The piece of scratch memory for a temporary of so many elements: the smallest that has room and is not `taken`. Where
    /// there is none, one is added.
    fn scratch_for(&mut self, backend: &B, elements: usize, taken: &[usize]) -> Result<usize> {
        let pieces = self.scratch.iter().enumerate();
        let free = pieces.filter(|(piece, (room, _))| *room >= elements && !taken.contains(piece));
        if let Some((piece, _)) = free.min_by_key(|(_, (room, _))| *room) {
            return Ok(piece);
        }
        self.scratch.push((elements, backend.allocate("a temporary result", elements)?));
        Ok(self.scratch.len() - 1)
    }

    fn entry(&self, name: &str) -> Result<&(Shape, B::Storage)> {
        self.entries.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.entries.keys().map(String::as_str).collect();
            Error::new(format!("there is no variable '{name}'; there are: {}", known.join(", ")))
        })
    }
}

fn check_length(what: &str, name: &str, shape: Shape, length: usize) -> Result<()> {
    if length == shape.len() {
        return Ok(());
    }
    Err(Error::new(format!(
        "the {what} '{name}' of shape {shape} takes {} numbers, got {length}",
        shape.len()
    )))
}

/// A plan made ready to run on a backend.
pub struct Program<B: Backend> {
    backend: B,
    plan: Arc<Plan>,
    executable: B::Executable,
    /// Outputs of the next run to keep, where the backend does not do it.
    requested: Vec<usize>,
    /// Their values, oldest first, and memory of values that were collected.
    kept: VecDeque<Kept<B::Element>>,
    idle: Vec<Kept<B::Element>>,
}

/// The value that an output had after a run.
struct Kept<E> {
    output: usize,
    values: Vec<E>,
}

impl<B: Backend> Program<B> {
    /// Prepares `plan` on `backend`. Errors when one of its variables is missing or has another shape, or
    /// when the device cannot run it.
    pub fn new(backend: &B, plan: Plan, variables: &Variables<B>) -> Result<Program<B>> {
        let plan = plan.lowered(|op, inputs, output| backend.supports(op, inputs, output))?;
        let pieces = vec![None; plan.variables().len()];
        Program::compiled(backend, plan, variables, &pieces)
    }

    /// [`new`](Program::new), of a program whose temporaries lie in memory that it shares with all others that were made so
    /// with the same variables: together they take the memory of the largest. Their runs take turns, which is what runs of
    /// programs with the same variables do anyway; outputs can be read until the program's own next run.
    pub fn in_turn(backend: &B, plan: Plan, variables: &mut Variables<B>) -> Result<Program<B>> {
        let plan = plan.lowered(|op, inputs, output| backend.supports(op, inputs, output))?;
        let (mut taken, mut failure) = (Vec::new(), None);
        let (plan, pieces) = plan.with_scratch(|elements| {
            let piece = variables.scratch_for(backend, elements, &taken).unwrap_or_else(|error| {
                failure.get_or_insert(error);
                usize::MAX
            });
            taken.push(piece);
            piece
        });
        match failure {
            Some(error) => Err(error),
            None => Program::compiled(backend, plan, variables, &pieces),
        }
    }

    /// A plan that the backend takes as it is. `pieces` says for each of its variables which piece of scratch memory it is, if
    /// it is one.
    fn compiled(
        backend: &B,
        plan: Plan,
        variables: &Variables<B>,
        pieces: &[Option<usize>],
    ) -> Result<Program<B>> {
        let plan = Arc::new(plan);
        let mut storages = Vec::new();
        for ((name, shape), piece) in plan.variables().zip(pieces) {
            if let Some(piece) = piece {
                storages.push(variables.scratch[*piece].1.clone());
                continue;
            }
            let (found, storage) = variables.entry(name)?;
            if *found != shape {
                return Err(Error::new(format!(
                    "the variable '{name}' has the shape {found}, the program expects {shape}"
                )));
            }
            storages.push(storage.clone());
        }
        let executable = backend.compile(plan.clone(), storages)?;
        let (requested, kept, idle) = (Vec::new(), VecDeque::new(), Vec::new());
        Ok(Program { backend: backend.clone(), plan, executable, requested, kept, idle })
    }

    /// What this program runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The backend's prepared form of the plan.
    pub fn executable(&mut self) -> &mut B::Executable {
        &mut self.executable
    }

    /// Sets the input `name`. It keeps its value until it is set again; at first it is zero.
    pub fn write(&mut self, name: &str, values: &[B::Element]) -> Result<()> {
        let found = self.plan.inputs().enumerate().find(|(_, (n, _))| *n == name);
        let Some((index, (_, shape))) = found else {
            let known: Vec<&str> = self.plan.inputs().map(|(n, _)| n).collect();
            return Err(Error::new(format!(
                "the program has no input '{name}'; it has: {}",
                known.join(", ")
            )));
        };
        check_length("input", name, shape, values.len())?;
        self.backend.write_input(&mut self.executable, index, values)
    }

    /// Whether the program reads an input of that name.
    pub fn has_input(&self, name: &str) -> bool {
        self.plan.inputs().any(|(n, _)| n == name)
    }

    /// Runs once: computes every output, then every assignment has its new value.
    pub fn run(&mut self) -> Result<()> {
        self.backend.run(&mut self.executable)?;
        for output in self.requested.drain(..) {
            let mut kept = match self.idle.iter().position(|kept| kept.output == output) {
                Some(position) => self.idle.swap_remove(position),
                None => {
                    let elements = self.plan.output_view(output).shape.len();
                    Kept { output, values: vec![B::Element::ZERO; elements] }
                }
            };
            self.backend.read_output(&mut self.executable, output, &mut kept.values)?;
            self.kept.push_back(kept);
        }
        Ok(())
    }

    /// The values of output `name` after the last run, row-major.
    pub fn read(&mut self, name: &str) -> Result<Vec<B::Element>> {
        let shape = self.output(name)?.1;
        let mut out = vec![B::Element::ZERO; shape.len()];
        self.read_into(name, &mut out)?;
        Ok(out)
    }

    /// [`read`](Program::read) into memory of the caller's.
    pub fn read_into(&mut self, name: &str, out: &mut [B::Element]) -> Result<()> {
        let (index, shape) = self.output(name)?;
        check_length("output", name, shape, out.len())?;
        self.backend.read_output(&mut self.executable, index, out)
    }

    /// Asks that the next run keeps its value of output `name` for [`collect`](Program::collect). On a GPU neither
    /// waits for the other: values arrive some runs later.
    pub fn request(&mut self, name: &str) -> Result<()> {
        let (index, _) = self.output(name)?;
        let asked = self.requested.contains(&index);
        if !asked && !self.backend.request_output(&mut self.executable, index)? {
            self.requested.push(index);
        }
        Ok(())
    }

    /// Takes the oldest value of output `name` that was [requested](Program::request), row-major, and returns true;
    /// false when there is none, or when it has not arrived yet. With `wait` it is waited for. Once as many values
    /// have been kept at a time as ever will be, nothing is allocated.
    pub fn collect(&mut self, name: &str, wait: bool, out: &mut [B::Element]) -> Result<bool> {
        let (index, shape) = self.output(name)?;
        check_length("output", name, shape, out.len())?;
        match self.kept.iter().position(|kept| kept.output == index).and_then(|i| self.kept.remove(i)) {
            Some(kept) => {
                out.copy_from_slice(&kept.values);
                self.idle.push(kept);
                Ok(true)
            }
            None => self.backend.collect_output(&mut self.executable, index, out, wait),
        }
    }

    fn output(&self, name: &str) -> Result<(usize, Shape)> {
        let found = self.plan.outputs().enumerate().find(|(_, (n, _))| *n == name);
        found.map(|(index, (_, shape))| (index, shape)).ok_or_else(|| {
            let known: Vec<&str> = self.plan.outputs().map(|(n, _)| n).collect();
            Error::new(format!("the program has no output '{name}'; it has: {}", known.join(", ")))
        })
    }
}
