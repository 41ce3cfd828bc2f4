//! WAV: stereo, 16 bits. Its header holds the length, which nobody knows before the end: it says "to the
//! end of the file" until then, which players take, and is written anew when the file is ended or read.

use crate::codec::Rate;

/// Bytes of a header.
pub(super) const HEADER: usize = 44;

/// The header of a file of so many bytes of sound; `None` is not known yet.
pub(super) fn header(rate: Rate, bytes: Option<u64>) -> [u8; HEADER] {
    let data = bytes.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(u32::MAX);
    let hz = rate.hz();
    let mut out = [0; HEADER];
    out[..4].copy_from_slice(b"RIFF");
    out[4..8].copy_from_slice(&data.saturating_add(HEADER as u32 - 8).to_le_bytes());
    out[8..16].copy_from_slice(b"WAVEfmt ");
    out[16..20].copy_from_slice(&16u32.to_le_bytes());
    // PCM, two channels, 16 bits.
    out[20..22].copy_from_slice(&1u16.to_le_bytes());
    out[22..24].copy_from_slice(&2u16.to_le_bytes());
    out[24..28].copy_from_slice(&hz.to_le_bytes());
    out[28..32].copy_from_slice(&(hz * 4).to_le_bytes());
    out[32..34].copy_from_slice(&4u16.to_le_bytes());
    out[34..36].copy_from_slice(&16u16.to_le_bytes());
    out[36..40].copy_from_slice(b"data");
    out[40..44].copy_from_slice(&data.to_le_bytes());
    out
}

/// A header that says how long a file really is.
pub(super) fn corrected(header: &[u8], file_bytes: u64) -> Option<[u8; HEADER]> {
    let mut out: [u8; HEADER] = header.get(..HEADER)?.try_into().ok()?;
    let data = u32::try_from(file_bytes.saturating_sub(HEADER as u64)).unwrap_or(u32::MAX);
    out[4..8].copy_from_slice(&data.saturating_add(HEADER as u32 - 8).to_le_bytes());
    out[40..44].copy_from_slice(&data.to_le_bytes());
    Some(out)
}

/// How long the sound is that a header tells of; `None` where it is none of ours.
pub(super) fn duration_ms(header: &[u8]) -> Option<u64> {
    let number = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?))
    };
    let (bytes_a_second, data) = (u64::from(number(28)?), u64::from(number(40)?));
    (data * 1000).checked_div(bytes_a_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_other_programs_read() {
        let mut file = header(Rate::Narrow, None).to_vec();
        for n in 0..160i16 {
            file.extend([n.to_le_bytes(), (-n).to_le_bytes()].concat());
        }
        let whole = corrected(&file, file.len() as u64).unwrap();
        assert_eq!(whole, header(Rate::Narrow, Some(640)));
        assert_eq!((duration_ms(&whole), duration_ms(&[0; HEADER])), (Some(20), None));
        file[..HEADER].copy_from_slice(&whole);
        let mut read = hound::WavReader::new(file.as_slice()).unwrap();
        assert_eq!(
            (read.spec().channels, read.spec().sample_rate, read.duration()),
            (2, 8000, 160)
        );
        let samples: Vec<i16> = read.samples::<i16>().map(Result::unwrap).collect();
        assert_eq!(&samples[318..], [159, -159]);
    }
}
