//! One record as one line of the spool: `LLLLLLLL CCCCCCCC {json}\n`, length and CRC-32 (ISO HDLC)
//! of the JSON in hexadecimal. A person can read it, and a torn or flipped line shows.

use crc::{CRC_32_ISO_HDLC, Crc};

use crate::call::Record;

/// Writes one record.
pub(super) fn encode(record: &Record, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let json = serde_json::to_vec(record)?;
    out.extend_from_slice(format!("{:08x} {:08x} ", json.len(), CRC.checksum(&json)).as_bytes());
    out.extend_from_slice(&json);
    out.push(b'\n');
    Ok(())
}

/// What the bytes up to the next line end are.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// A whole record and the bytes it took.
    Record(Box<Record>, usize),
    /// A line that is none, and the bytes to skip.
    Corrupt(usize),
    /// No line end: the rest of the file is torn, or is still to be read.
    Torn,
}

/// Reads the first line.
pub(super) fn decode(bytes: &[u8]) -> Frame {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return Frame::Torn };
    match record(&bytes[..end]) {
        Some(record) => Frame::Record(Box::new(record), end + 1),
        None => Frame::Corrupt(end + 1),
    }
}

fn record(line: &[u8]) -> Option<Record> {
    let (head, json) = line.split_at_checked(HEAD)?;
    let head = std::str::from_utf8(head).ok()?;
    let len = usize::from_str_radix(head.get(..8)?, 16).ok()?;
    let crc = u32::from_str_radix(head.get(9..17)?, 16).ok()?;
    if len != json.len() || crc != CRC.checksum(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// Length, blank, CRC, blank.
const HEAD: usize = 8 + 1 + 8 + 1;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn a_record_comes_back_and_every_flipped_bit_shows() {
        let record = record(1);
        let mut bytes = Vec::new();
        encode(&record, &mut bytes).unwrap();
        assert_eq!(decode(&bytes), Frame::Record(Box::new(record.clone()), bytes.len()));
        for at in 0..bytes.len() {
            let mut torn = bytes.clone();
            torn[at] ^= 0x04;
            // A flip in the hex digits' case or the blanks changes no value.
            if let Frame::Record(read, _) = decode(&torn) {
                assert_eq!(*read, record, "byte {at}");
            }
        }
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Frame::Torn);
        }
    }
}
