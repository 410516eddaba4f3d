//! Protocol buffers, as far as files of others need them written: ONNX models, TensorBoard's events.
//!
//! The encoding is described at <https://protobuf.dev/programming-guides/encoding>: a field is its number and wire type
//! as a varint, then its value.

/// Wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// A message under construction; fields stand in the order in which they are added.
///
/// ```
/// use gannet::export::protobuf::Message;
///
/// let message = Message::new().integer(1, 150).text(2, "testing");
/// assert_eq!(message.as_bytes(), b"\x08\x96\x01\x12\x07testing");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A message without fields.
    pub fn new() -> Message {
        Message::default()
    }

    /// Its encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its encoding.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// An int32, int64, uint64, bool or enum.
    #[must_use]
    pub fn integer(mut self, field: u32, value: i64) -> Message {
        self.tag(field, VARINT);
        varint(&mut self.bytes, value as u64);
        self
    }

    /// A float.
    #[must_use]
    pub fn float(mut self, field: u32, value: f32) -> Message {
        self.tag(field, FIXED32);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// A double.
    #[must_use]
    pub fn double(mut self, field: u32, value: f64) -> Message {
        self.tag(field, FIXED64);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// A string.
    #[must_use]
    pub fn text(self, field: u32, value: &str) -> Message {
        self.bytes(field, value.as_bytes())
    }

    /// A field of type bytes.
    #[must_use]
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Message {
        self.tag(field, LENGTH_DELIMITED);
        varint(&mut self.bytes, value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    /// A message within this one.
    #[must_use]
    pub fn message(self, field: u32, value: &Message) -> Message {
        self.bytes(field, &value.bytes)
    }

    /// A repeated message: one field for each value.
    #[must_use]
    pub fn messages<'a>(self, field: u32, values: impl IntoIterator<Item = &'a Message>) -> Message {
        values.into_iter().fold(self, |message, value| message.message(field, value))
    }

    /// A repeated int64, one field for each value, as version 2 of the language has it (version 3 reads it too).
    #[must_use]
    pub fn integers(self, field: u32, values: impl IntoIterator<Item = i64>) -> Message {
        values.into_iter().fold(self, |message, value| message.integer(field, value))
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        varint(&mut self.bytes, u64::from(field << 3 | wire_type));
    }
}

/// Seven bits in each byte, the lowest first; the eighth says that more follow.
fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of the format's own documentation, and its corners.
    #[test]
    fn fields_are_encoded_as_documented() {
        let cases: [(Message, &[u8]); 9] = [
            (Message::new().integer(1, 150), &[0x08, 0x96, 0x01]),
            (Message::new().text(2, "testing"), b"\x12\x07testing"),
            (Message::new().message(3, &Message::new().integer(1, 150)), &[0x1a, 0x03, 0x08, 0x96, 0x01]),
            (Message::new().integer(1, -2), b"\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            (Message::new().integers(6, [3, 270, 86942]), b"\x30\x03\x30\x8e\x02\x30\x9e\xa7\x05"),
            (Message::new().float(2, 1.0), b"\x15\x00\x00\x80\x3f"),
            (Message::new().double(1, 1.0), b"\x09\x00\x00\x00\x00\x00\x00\xf0\x3f"),
            (Message::new().integer(16, 0), &[0x80, 0x01, 0x00]),
            (Message::new().bytes(1, &[]), &[0x0a, 0x00]),
        ];
        for (message, bytes) in cases {
            assert_eq!(message.as_bytes(), bytes);
        }
        let long = Message::new().bytes(1, &[7; 300]);
        assert_eq!((&long.as_bytes()[..3], long.as_bytes().len()), (&[0x0a, 0xac, 0x02][..], 303));
    }
}
