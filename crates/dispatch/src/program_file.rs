//! The file of programs: what a runtime needs to run them, and nothing of this engine.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `GANNETPG` |
//! | 4 | the version, little-endian as all numbers: 1 |
//! | 4 | the CRC-32 of all bytes after these |
//! | 8 | the length of the header |
//! | | the header, JSON, padded with spaces to a multiple of 8 |
//! | | the data: parameters, constants and values of variables, which the header names by (first byte, length) |

use std::collections::BTreeMap;
use std::path::Path;

use gannet_tensor::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::buffer::{Buffer, Contents, Region};
use crate::check::check;
use crate::dispatches::{Dispatch, Dispatches, Named};
use crate::limits::Limits;
use crate::shader_text::ShaderText;

const MAGIC: &[u8; 8] = b"GANNETPG";

/// The version that is written and read.
pub const VERSION: u32 = 1;

/// Bytes before the header: magic, version, checksum, the header's length.
const PREAMBLE: usize = 24;
/// The first byte that the checksum is of.
const CHECKED: usize = 16;

/// Programs that share variables, the shaders that they run, and the values of the variables.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramFile {
    /// The programs, by name.
    pub programs: BTreeMap<String, Dispatches>,
    /// The shaders of all programs, by name.
    pub shaders: BTreeMap<String, ShaderText>,
    /// The first values of each variable; those that are not there are zero.
    pub variables: BTreeMap<String, Vec<f32>>,
}

/// Bytes of the data: the first and how many.
type Span = [usize; 2];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    programs: BTreeMap<String, Program>,
    shaders: BTreeMap<String, ShaderText>,
    variables: BTreeMap<String, Span>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    limits: Limits,
    buffers: Vec<Buffer>,
    contents: Vec<Written>,
    params: Span,
    dispatches: Vec<Dispatch>,
    inputs: Vec<Named>,
    outputs: Vec<Named>,
    variables: Vec<Named>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    region: Region,
    values: Span,
}

impl ProgramFile {
    /// A file of `programs`, by name, with the values of their variables, of which those after the last that a
    /// program binds are left out, and the zeros at their end.
    ///
    /// # Errors
    /// When a variable has no values, or more than it has room for.
    pub fn new(
        programs: BTreeMap<String, Dispatches>,
        variables: BTreeMap<String, Vec<f32>>,
    ) -> Result<ProgramFile> {
        let mut file = ProgramFile { programs, shaders: BTreeMap::new(), variables };
        for dispatch in file.programs.values().flat_map(|program| &program.dispatches) {
            let name = dispatch.shader.as_ref();
            let shader = gannet_shaders::find(name)
                .ok_or_else(|| Error::new(format!("there is no shader '{name}'")))?;
            file.shaders.entry(name.into()).or_insert_with(|| shader.into());
        }
        let bound = file.bound();
        for (name, values) in &mut file.variables {
            values.truncate(bound.get(name).map_or(0, |bytes| bytes / 4));
            values.truncate(values.iter().rposition(|value| value.to_bits() != 0).map_or(0, |last| last + 1));
        }
        file.check().map_err(Error::new)?;
        Ok(file)
    }

    /// The bytes of each variable up to the last that a program binds or gives out.
    fn bound(&self) -> BTreeMap<String, usize> {
        let mut bound = BTreeMap::new();
        for program in self.programs.values() {
            let regions = program.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
            let regions: Vec<&Region> =
                regions.chain(program.outputs.iter().map(|output| &output.region)).collect();
            for variable in &program.variables {
                let own = regions.iter().filter(|region| region.buffer == variable.region.buffer);
                let end = own.map(|region| region.offset + region.bytes).max().unwrap_or(0);
                let known = bound.entry(variable.name.clone()).or_insert(0);
                *known = end.max(*known);
            }
        }
        bound
    }

    fn check(&self) -> Result<(), String> {
        for (name, program) in &self.programs {
            check(program, &self.shaders, &self.variables)
                .map_err(|e| format!("the program '{name}': {e}"))?;
        }
        Ok(())
    }

    /// The bytes of the file: the same programs and values always give the same bytes. Variables of the same values share
    /// theirs.
    ///
    /// # Errors
    /// When the header cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut data = Data::default();
        let programs = self.programs.iter().map(|(name, program)| {
            let written = |contents: &Contents| Written {
                region: contents.region,
                values: data.numbers(&contents.values),
            };
            let contents = program.contents.iter().map(written).collect();
            let program = Program {
                limits: program.limits,
                buffers: program.buffers.clone(),
                contents,
                params: data.bytes(&program.params),
                dispatches: program.dispatches.clone(),
                inputs: program.inputs.clone(),
                outputs: program.outputs.clone(),
                variables: program.variables.clone(),
            };
            (name.clone(), program)
        });
        let programs = programs.collect();
        let mut variables: BTreeMap<String, Span> = BTreeMap::new();
        for (name, values) in &self.variables {
            let same = self.variables.range(..name.clone()).find(|(_, other)| same_bits(other, values));
            let span = same.and_then(|(name, _)| variables.get(name).copied());
            variables.insert(name.clone(), span.unwrap_or_else(|| data.numbers(values)));
        }
        let header = Header { programs, shaders: self.shaders.clone(), variables };
        let mut header = serde_json::to_vec(&header).map_err(|e| Error::new(e.to_string()))?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut checked = (header.len() as u64).to_le_bytes().to_vec();
        checked.extend(header);
        checked.extend(data.0);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(crc32fast::hash(&checked).to_le_bytes());
        bytes.extend(checked);
        Ok(bytes)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or is of another version: with its name.
    pub fn read(path: impl AsRef<Path>) -> Result<ProgramFile> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|e| Error::new(format!("cannot read {}: {e}", path.display())))?;
        ProgramFile::parse(&bytes).map_err(|e| e.context(path.display()))
    }

    /// Reads a file from memory. Whatever the bytes, it does not panic, and what it returns can be run.
    ///
    /// # Errors
    /// When the bytes are not such a file, are damaged, or of another version.
    pub fn parse(bytes: &[u8]) -> Result<ProgramFile> {
        parse(bytes).map_err(Error::new)
    }
}

fn parse(bytes: &[u8]) -> Result<ProgramFile, String> {
    let word =
        |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    if !bytes.starts_with(MAGIC) {
        return Err("this is no file of Gannet programs: it does not begin with GANNETPG".into());
    }
    let short = || format!("the file ends after {} bytes: it is not whole", bytes.len());
    let version = word(8).ok_or_else(short)?;
    if version != VERSION {
        return Err(format!(
            "a file of Gannet programs of version {version}; this program reads version {VERSION}"
        ));
    }
    let (Some(checksum), Some(rest)) = (word(12), bytes.get(PREAMBLE..)) else { return Err(short()) };
    if crc32fast::hash(&bytes[CHECKED..]) != checksum {
        return Err("the file is damaged: its checksum does not fit".into());
    }
    let length: [u8; 8] = bytes[CHECKED..PREAMBLE].try_into().map_err(|_| short())?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    let (header, data) = rest
        .split_at_checked(length)
        .ok_or_else(|| format!("the file is damaged: its header of {length} bytes is not whole"))?;
    let header: Header =
        serde_json::from_slice(header).map_err(|e| format!("the file is damaged, in its header: {e}"))?;
    let mut programs = BTreeMap::new();
    for (name, program) in header.programs {
        let read = |written: Written| {
            Ok(Contents { region: written.region, values: numbers(data, written.values)? })
        };
        let contents = program.contents.into_iter().map(read).collect::<Result<Vec<Contents>, String>>()?;
        let program = Dispatches {
            limits: program.limits,
            buffers: program.buffers,
            contents,
            params: part(data, program.params)?.to_vec(),
            dispatches: program.dispatches,
            inputs: program.inputs,
            outputs: program.outputs,
            variables: program.variables,
        };
        programs.insert(name, program);
    }
    let mut variables = BTreeMap::new();
    for (name, span) in header.variables {
        variables.insert(name, numbers(data, span)?);
    }
    let file = ProgramFile { programs, shaders: header.shaders, variables };
    file.check().map_err(|e| format!("the file is damaged: {e}"))?;
    Ok(file)
}

/// Whether these are the same numbers, zeros of either sign told apart.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// The data of a file as it grows.
#[derive(Default)]
struct Data(Vec<u8>);

impl Data {
    fn bytes(&mut self, bytes: &[u8]) -> Span {
        let first = self.0.len();
        self.0.extend(bytes);
        [first, bytes.len()]
    }

    fn numbers(&mut self, values: &[f32]) -> Span {
        let first = self.0.len();
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        [first, values.len() * 4]
    }
}

fn part(data: &[u8], [first, length]: Span) -> Result<&[u8], String> {
    let end = first.checked_add(length);
    end.and_then(|end| data.get(first..end))
        .ok_or_else(|| format!("the file is damaged: {length} bytes from {first} on are not in its data"))
}

fn numbers(data: &[u8], span: Span) -> Result<Vec<f32>, String> {
    let (numbers, rest) = part(data, span)?.as_chunks();
    match rest {
        [] => Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()),
        _ => Err(format!("the file is damaged: {} bytes are no numbers of 4", span[1])),
    }
}
