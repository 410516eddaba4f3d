//! What a set holds, in words.

use std::collections::HashMap;
use std::fmt::Write;

use super::decode::Levels;
use super::kind::Kind;
use super::manifest::{Hash, Manifest, Seen, listed};
use super::name::Name;
use super::scan::reasons;
use super::set::levels_of;
use crate::image_shape::ImageShape;
use crate::transforms::{AreaFilter, Resize};

/// Names of files that were left out, in the first line.
const NAMED: usize = 3;
/// The same in the long text.
const NAMED_LONG: usize = 20;
/// Classes that the long text lists.
const CLASSES: usize = 50;
/// Sizes that the long text lists.
const SIZES: usize = 8;

/// What a set of pictures holds, what was left out of it, and what training makes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// How many pictures there are.
    pub pictures: usize,
    /// How many of each format, the most frequent first.
    pub kinds: Vec<(Kind, usize)>,
    /// Each size (width, height) and how many have it, the most frequent first.
    pub sizes: Vec<((u32, u32), usize)>,
    /// How many have 1 (grey), 2 (grey and alpha), 3 (colour) and 4 channels (colour and alpha).
    pub channels: [usize; 4],
    /// How many have 16 bits a sample, and which of their levels are black and white.
    pub deep: Option<(usize, Levels)>,
    /// Each class and how many are of it, in the order of their numbers.
    pub classes: Vec<(String, usize)>,
    /// Pictures that hold the same as another, groups of them with two names each, the largest first.
    pub copies: Vec<(usize, [Name; 2])>,
    /// Why files were left out, counted; empty without any.
    pub left_out: String,
    /// How many were left out.
    pub left_out_count: usize,
    /// The first of them with what is wrong.
    pub named: Vec<String>,
    /// Files that are no pictures and do not claim to be.
    pub others: usize,
    /// What else people should know.
    pub notes: Vec<String>,
    /// The form that pictures are brought to, and how.
    pub shape: ImageShape,
    /// How they get there.
    pub resize: Resize,
}

impl Summary {
    pub(crate) fn new(
        manifest: &Manifest,
        (others, notes): (usize, &[String]),
        shape: ImageShape,
        resize: Resize,
    ) -> Self {
        let (mut kinds, mut sizes) = (HashMap::new(), HashMap::new());
        let mut same: HashMap<Hash, Vec<&Name>> = HashMap::new();
        let (mut channels, mut deep) = ([0; 4], 0);
        for Seen { name, hash, found, .. } in &manifest.pictures {
            let Ok(looks) = found else { continue };
            *kinds.entry(looks.header.kind).or_default() += 1;
            *sizes.entry((looks.header.width, looks.header.height)).or_default() += 1;
            channels[usize::from(looks.header.channels).clamp(1, 4) - 1] += 1;
            deep += usize::from(looks.header.deep);
            same.entry(*hash).or_default().push(name);
        }
        let mut copies: Vec<(usize, [Name; 2])> = same
            .into_values()
            .filter(|names| names.len() > 1)
            .map(|names| (names.len(), [names[0].clone(), names[1].clone()]))
            .collect();
        copies.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let bad = &manifest.left_out;
        let told = |file: &Seen| {
            let what = file.found.as_ref().err().map(ToString::to_string).unwrap_or_default();
            format!("{} {what}", file.name)
        };
        Summary {
            pictures: manifest.pictures.len(),
            kinds: by_count(kinds),
            sizes: by_count(sizes),
            channels,
            deep: (deep > 0).then(|| (deep, levels_of(manifest))),
            classes: manifest.classes.iter().cloned().zip(manifest.class_counts()).collect(),
            copies,
            left_out: reasons(bad),
            left_out_count: bad.len(),
            named: bad.iter().take(NAMED_LONG).map(told).collect(),
            others,
            notes: notes.to_vec(),
            shape,
            resize,
        }
    }

    /// The share of all pixels that cropping cuts off, 0 to 1; each picture counts the same.
    pub fn cut_off(&self) -> f64 {
        let cut = |&((width, height), count): &((u32, u32), usize)| {
            let source = ImageShape { height: height as usize, width: width as usize, channels: 1 };
            let (rows, columns) = AreaFilter::used(source, self.shape, self.resize);
            count as f64 * (1.0 - (rows * columns) as f64 / source.len() as f64)
        };
        self.sizes.iter().map(cut).sum::<f64>() / self.pictures.max(1) as f64
    }

    /// What is done to the pictures: `cropped (12 % cut off) and scaled to 32x32`.
    fn treatment(&self) -> String {
        let ImageShape { height, width, channels } = self.shape;
        let mut text = String::new();
        let (larger, smaller) = self.sizes.iter().fold((0, 0), |(larger, smaller), ((w, h), count)| {
            let (w, h) = (*w as usize, *h as usize);
            (
                larger + if w > width && h > height { *count } else { 0 },
                smaller + if w < width || h < height { *count } else { 0 },
            )
        });
        let same = self.sizes.iter().all(|((w, h), _)| (*w as usize, *h as usize) == (width, height));
        if same {
            _ = write!(text, "taken as they are, {width}x{height}");
        } else {
            let cut = self.cut_off();
            match self.resize {
                Resize::Crop if cut >= 0.0005 => {
                    _ = write!(
                        text,
                        "cropped to the middle ({} of their area cut off) and scaled",
                        percent(cut)
                    );
                }
                Resize::Crop => text.push_str("scaled"),
                Resize::Pad => text.push_str("scaled whole, with black borders where they do not fit,"),
                Resize::Stretch => text.push_str("stretched"),
            }
            _ = write!(text, " to {width}x{height}");
            if smaller > 0 && larger < self.pictures {
                _ = write!(
                    text,
                    ", {} of them from a smaller size",
                    if smaller == self.pictures { "all".into() } else { smaller.to_string() }
                );
            }
        }
        text.push_str(match channels {
            1 => ", grey",
            4 => ", colour with transparency",
            _ => ", colour",
        });
        text
    }

    /// `40x40`, or from which to which.
    fn size_range(&self) -> String {
        match &self.sizes[..] {
            [((width, height), _)] => format!("{width}x{height}"),
            sizes => {
                let by_area = |((w, h), _): &&((u32, u32), usize)| (u64::from(*w) * u64::from(*h), *w);
                let of = |size: Option<&((u32, u32), usize)>| {
                    size.map(|((w, h), _)| format!("{w}x{h}")).unwrap_or_default()
                };
                format!(
                    "{} to {}",
                    of(sizes.iter().min_by_key(by_area)),
                    of(sizes.iter().max_by_key(by_area))
                )
            }
        }
    }

    /// `20 PNG, 4 JPEG`, or the one format.
    fn formats(&self) -> String {
        match &self.kinds[..] {
            [(kind, _)] => kind.name().into(),
            kinds => kinds
                .iter()
                .map(|(kind, count)| format!("{count} {}", kind.name()))
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    /// `3 grey, 20 colour, 1 with transparency`, or nothing where all have colours.
    fn colours(&self) -> String {
        let [grey, grey_alpha, colour, colour_alpha] = self.channels;
        let (grey, colour, alpha) = (grey + grey_alpha, colour + colour_alpha, grey_alpha + colour_alpha);
        let mut parts = Vec::new();
        match (grey, colour) {
            (0, _) => parts.push("colour".to_string()),
            (_, 0) => parts.push("grey".to_string()),
            (grey, colour) => parts.push(format!("{grey} grey and {colour} colour")),
        }
        if alpha == self.pictures {
            parts.push("with transparency".into());
        } else if alpha > 0 {
            parts.push(format!("{alpha} with transparency"));
        }
        parts.join(", ")
    }

    /// `classes: 0 cat 14, 1 dog 9`, the first few.
    fn class_list(&self, most: usize) -> String {
        let mut text: Vec<String> = self
            .classes
            .iter()
            .take(most)
            .enumerate()
            .map(|(number, (name, count))| format!("{number} {name} {count}"))
            .collect();
        if self.classes.len() > most {
            text.push(format!("and {} more", self.classes.len() - most));
        }
        text.join(", ")
    }

    /// One line for the start of a training: what there is, what is made of it, what was left out.
    pub fn line(&self) -> String {
        let mut text = format!(
            "{} {} ({}), {}, {}; {}",
            self.pictures,
            if self.pictures == 1 { "picture" } else { "pictures" },
            self.formats(),
            self.size_range(),
            self.colours(),
            self.treatment()
        );
        if let Some((count, levels)) = &self.deep {
            _ = write!(text, "; {}", deep(*count, *levels));
        }
        if !self.classes.is_empty() {
            _ = write!(text, "; {} classes: {}", self.classes.len(), self.class_list(10));
        }
        if self.left_out_count > 0 {
            let more = if self.left_out_count > NAMED { ", ..." } else { "" };
            let named: Vec<&str> = self.named.iter().take(NAMED).map(String::as_str).collect();
            _ = write!(text, "; left out: {} ({}{more})", self.left_out, named.join("; "));
        }
        for note in &self.notes {
            _ = write!(text, "; {note}");
        }
        text
    }

    /// All of it, in lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("pictures     {}", self.pictures),
            format!("formats      {}", self.formats()),
            format!("channels     {}", self.colours()),
        ];
        let mut sizes: Vec<String> =
            self.sizes.iter().take(SIZES).map(|((w, h), count)| format!("{w}x{h} ({count})")).collect();
        if self.sizes.len() > SIZES {
            sizes.push(format!("and {} more, {}", self.sizes.len() - SIZES, self.size_range()));
        }
        lines.push(format!("sizes        {}", sizes.join(", ")));
        if self.sizes.len() > 1 {
            lines.push(format!("proportions  {}", self.proportions()));
        }
        lines.push(format!("training     {}", self.treatment()));
        if let Some((count, levels)) = &self.deep {
            lines.push(format!("levels       {}", deep(*count, *levels)));
        }
        if self.classes.is_empty() {
            lines.push("classes      none".into());
        } else {
            lines.push(format!("classes      {}: {}", self.classes.len(), self.class_list(CLASSES)));
        }
        match &self.copies[..] {
            [] => lines.push("copies       none".into()),
            copies => {
                let more: usize = copies.iter().map(|(count, _)| count - 1).sum();
                let (_, [a, b]) = &copies[0];
                let what = if more == 1 { "picture is a copy" } else { "pictures are copies" };
                lines.push(format!("copies       {more} {what} of others: {a} and {b} hold the same"));
            }
        }
        if self.left_out_count == 0 {
            lines.push("left out     nothing".into());
        } else {
            lines.push(format!("left out     {}", self.left_out));
            lines.extend(self.named.iter().map(|file| format!("             {file}")));
            if self.left_out_count > self.named.len() {
                lines.push(format!("             and {} more", self.left_out_count - self.named.len()));
            }
        }
        if self.others > 0 {
            let what =
                if self.others == 1 { "file that is no picture" } else { "files that are no pictures" };
            lines.push(format!("beside them  {} {what}", self.others));
        }
        lines.extend(self.notes.iter().map(|note| format!("note         {note}")));
        lines
    }

    /// How many are wider than high, and the widest and the tallest.
    fn proportions(&self) -> String {
        let (mut wide, mut square, mut tall) = (0, 0, 0);
        let (mut least, mut most) = (f64::INFINITY, 0.0f64);
        for ((w, h), count) in &self.sizes {
            *match w.cmp(h) {
                std::cmp::Ordering::Greater => &mut wide,
                std::cmp::Ordering::Equal => &mut square,
                std::cmp::Ordering::Less => &mut tall,
            } += count;
            let ratio = f64::from(*w) / f64::from(*h);
            (least, most) = (least.min(ratio), most.max(ratio));
        }
        format!("{wide} wide, {square} square, {tall} tall; width to height from {least:.2} to {most:.2}")
    }

    /// Lines about what was left out, for a file: every name with its reason.
    pub fn left_out_lines(manifest: &Manifest) -> String {
        let line = |file: &Seen| {
            let what = file.found.as_ref().err().map(ToString::to_string).unwrap_or_default();
            format!("{}: {what}\n", file.name)
        };
        manifest.left_out.iter().map(line).collect()
    }

    /// The names of some pictures that others are copies of.
    pub fn copies_named(&self) -> String {
        listed(&self.copies.iter().map(|(_, [first, _])| first.clone()).collect::<Vec<_>>())
    }
}

fn deep(count: usize, levels: Levels) -> String {
    let (low, high) = levels.range();
    if levels.is_full() {
        format!("{count} of 16 bits")
    } else {
        format!(
            "{count} of 16 bits, which use the levels {low} to {high} of 65535: these become black and white"
        )
    }
}

fn percent(share: f64) -> String {
    if share < 0.01 { format!("{:.1} %", share * 100.0) } else { format!("{:.0} %", share * 100.0) }
}

/// The most frequent first.
fn by_count<K: Ord + Copy>(counts: HashMap<K, usize>) -> Vec<(K, usize)> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}
