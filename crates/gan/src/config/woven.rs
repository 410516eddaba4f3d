//! A text that was made of pieces of another, which remembers where each comes from.

use std::ops::Range;

/// A text made of pieces of another.
pub(super) struct Woven {
    text: String,
    /// Where a piece begins here, where it begins in the other text, and how long it is there.
    pieces: Vec<(usize, Range<usize>)>,
}

impl Woven {
    /// A text as it is.
    pub(super) fn plain(text: &str) -> Woven {
        Woven { text: text.to_owned(), pieces: vec![(0, 0..text.len())] }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where a byte of this text comes from in the other.
    pub(super) fn origin(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        let Some((start, from)) = self.pieces.get(piece) else { return at };
        (from.start + at.saturating_sub(*start)).min(from.end)
    }
}

/// Puts a text together.
pub(super) struct Weaver<'t> {
    other: &'t str,
    woven: Woven,
}

impl<'t> Weaver<'t> {
    pub(super) fn new(other: &'t str) -> Weaver<'t> {
        Weaver { other, woven: Woven { text: String::new(), pieces: Vec::new() } }
    }

    /// Adds a piece of the other text.
    pub(super) fn copy(&mut self, piece: Range<usize>) {
        self.woven.pieces.push((self.woven.text.len(), piece.clone()));
        self.woven.text.push_str(&self.other[piece]);
    }

    /// Adds words that stand for what is at a place of the other text.
    pub(super) fn put(&mut self, words: &str, at: usize) {
        self.woven.pieces.push((self.woven.text.len(), at..at));
        self.woven.text.push_str(words);
    }

    /// The place behind the comma that follows a value of a list, comments between them included; the end of the value
    /// where none follows.
    pub(super) fn after_comma(&self, end: usize) -> usize {
        let mut comment = false;
        for (i, c) in self.other[end..].char_indices() {
            match c {
                '\n' => comment = false,
                _ if comment => {}
                '#' => comment = true,
                ',' => return end + i + 1,
                c if c.is_whitespace() => {}
                _ => break,
            }
        }
        end
    }

    /// The bytes so far.
    pub(super) fn len(&self) -> usize {
        self.woven.text.len()
    }

    pub(super) fn finish(self) -> Woven {
        self.woven
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_knows_where_it_comes_from() {
        let other = "one, # a, b\n  , two";
        let mut weaver = Weaver::new(other);
        weaver.copy(0..3);
        weaver.put("hundred", 3);
        assert_eq!(weaver.after_comma(3), 4);
        assert_eq!(weaver.after_comma(4), 15);
        assert_eq!(weaver.after_comma(19), 19);
        weaver.copy(15..19);
        let woven = weaver.finish();
        assert_eq!(woven.text(), "onehundred two");
        assert_eq!([0, 2, 3, 9, 10, 13, 14, 90].map(|at| woven.origin(at)), [0, 2, 3, 3, 15, 18, 19, 19]);
    }
}
