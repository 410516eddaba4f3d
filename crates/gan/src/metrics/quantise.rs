//! Rounding of images to bytes and back.

/// The byte of a pixel in [-1, 1]: -1 is 0, 1 is 255, the nearest in between; what lies outside is clamped, and
/// NaN is 0.
pub fn quantise(pixel: f32) -> u8 {
    // A float-to-integer `as` saturates and takes NaN to 0.
    ((pixel + 1.0) * 127.5).round() as u8
}

/// The pixel in [-1, 1] of a byte, such that [`quantise`] gives the byte again.
pub fn dequantise(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_way_there_and_back() {
        for byte in 0..=255 {
            assert_eq!(quantise(dequantise(byte)), byte);
        }
    }

    #[test]
    fn pixels_go_to_the_nearest_byte_and_are_clamped() {
        let below_and_above_half = [99.49_f32, 99.51].map(|x| quantise(x / 127.5 - 1.0));
        assert_eq!(below_and_above_half, [99, 100]);
        assert_eq!(
            [-1.5, 1.5, f32::NEG_INFINITY, f32::INFINITY, f32::NAN].map(quantise),
            [0, 255, 0, 255, 0]
        );
    }
}
