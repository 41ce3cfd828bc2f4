//! G.711 companding (ITU-T G.711 tables 1 and 2), both laws, from the segment formula.
//!
//! Linear values are 16 bits: mu-law's 14 bits times 4, A-law's 13 bits times 8.

/// One sample to mu-law.
pub(super) const fn to_ulaw(sample: i16) -> u8 {
    // Sign and magnitude, then the bias of 33 (times 4) that makes segment ends powers of two.
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs();
    let clipped = if magnitude > ULAW_CLIP { ULAW_CLIP } else { magnitude };
    let biased = clipped + ULAW_BIAS;
    let segment = 8 - biased.leading_zeros() as u16;
    let step = (biased >> (segment + 3)) & 0x0f;
    !(sign | (segment as u8) << 4 | step as u8)
}

/// One mu-law byte to linear, through the table.
pub(super) fn from_ulaw(byte: u8) -> i16 {
    ULAW[byte as usize]
}

/// One sample to A-law.
pub(super) const fn to_alaw(sample: i16) -> u8 {
    // The sign bit is 1 for positive values; a negative one counts from -1, so that the two
    // decision ranges next to zero do not meet.
    let (sign, magnitude) =
        if sample < 0 { (0, !sample as u16 >> 4) } else { (0x80, sample as u16 >> 4) };
    let code = if magnitude < 32 {
        magnitude
    } else {
        let segment = 11 - magnitude.leading_zeros() as u16;
        (segment + 1) << 4 | ((magnitude >> segment) & 0x0f)
    };
    // Even bits are inverted on the line (table 1a, note 3).
    (sign | code as u8) ^ 0x55
}

/// One A-law byte to linear, through the table.
pub(super) fn from_alaw(byte: u8) -> i16 {
    ALAW[byte as usize]
}

const fn expand_ulaw(byte: u8) -> i16 {
    let code = !byte;
    let segment = (code >> 4) & 7;
    let step = (code & 0x0f) as i32;
    let magnitude = (((step << 3) + ULAW_BIAS as i32) << segment) - ULAW_BIAS as i32;
    if code & 0x80 != 0 { -(magnitude as i16) } else { magnitude as i16 }
}

const fn expand_alaw(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let segment = (code >> 4) & 7;
    let step = ((code & 0x0f) as i32) << 4;
    // The middle of the quantising interval: half a step of 16.
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if code & 0x80 != 0 { magnitude as i16 } else { -(magnitude as i16) }
}

const fn table(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match law {
            Law::U => expand_ulaw(byte as u8),
            Law::A => expand_alaw(byte as u8),
        };
        byte += 1;
    }
    table
}

enum Law {
    U,
    A,
}

static ULAW: [i16; 256] = table(Law::U);
static ALAW: [i16; 256] = table(Law::A);

const ULAW_BIAS: u16 = 33 * 4;
const ULAW_CLIP: u16 = 8158 * 4 + 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_g711_tables_1_and_2() {
        // (byte, linear) of mu-law: both ends, both zeros, segment starts.
        for (byte, linear) in [
            (0x80, 32124),
            (0x00, -32124),
            (0xff, 0),
            (0x7f, 0),
            (0xfe, 8),
            (0xef, 132),
            (0xdf, 396),
            (0x9f, 8316),
            (0xa0, 7932),
        ] {
            assert_eq!(from_ulaw(byte), linear, "{byte:#x}");
        }
        for (byte, linear) in
            [(0xd5, 8), (0x55, -8), (0xaa, 32256), (0x2a, -32256), (0xc5, 264), (0xf5, 528)]
        {
            assert_eq!(from_alaw(byte), linear, "{byte:#x}");
        }
    }

    #[test]
    fn every_byte_survives_decoding_and_encoding() {
        for byte in 0..=255u8 {
            // Negative zero of mu-law has no linear value of its own.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(to_ulaw(from_ulaw(byte)), expected, "mu-law {byte:#x}");
            assert_eq!(to_alaw(from_alaw(byte)), byte, "A-law {byte:#x}");
        }
    }

    #[test]
    fn every_sample_goes_to_the_nearest_value_of_its_segment() {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(sample).abs();
            let error = |decoded: i16| (i32::from(decoded) - i32::from(sample)).abs();
            // Half a step: 4 in the first mu-law segment, a 32nd of the value above, and clipping.
            let allowed = (magnitude + 132) / 32 + 1;
            assert!(error(from_ulaw(to_ulaw(sample))) <= allowed.max(644), "mu {sample}");
            if magnitude <= 32124 {
                assert!(error(from_ulaw(to_ulaw(sample))) <= allowed, "mu {sample}");
            }
            assert!(
                error(from_alaw(to_alaw(sample))) <= (magnitude / 32 + 1).max(16),
                "A {sample}"
            );
        }
    }

    #[test]
    fn the_digital_milliwatt_is_0_dbm0_g711_table_5() {
        let milliwatt = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];
        let pcm: Vec<i16> = milliwatt.iter().cycle().take(800).map(|b| from_ulaw(*b)).collect();
        let level = crate::codec::level_dbm0(&pcm);
        assert!(level.abs() < 0.02, "{level}");
        let level = crate::codec::goertzel_dbm0(&pcm, 1000.0);
        assert!(level.abs() < 0.02, "{level}");
        let back: Vec<u8> = pcm[..8].iter().map(|s| to_ulaw(*s)).collect();
        assert_eq!(back, milliwatt);
        // The same of A-law, table 6: 34 21 21 34 B4 A1 A1 B4.
        let milliwatt = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4];
        let pcm: Vec<i16> = milliwatt.iter().cycle().take(800).map(|b| from_alaw(*b)).collect();
        assert!(crate::codec::level_dbm0(&pcm).abs() < 0.1);
    }
}
