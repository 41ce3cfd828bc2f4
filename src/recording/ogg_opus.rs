//! Ogg Opus (RFC 7845): two streams of one channel each, so that neither side is heard in the other's
//! channel, as joint stereo would have it at such rates (channel mapping family 1, 5.1.1.2).
//!
//! A packet holds both: the caller's in the self-delimiting form (RFC 6716 appendix B), then the callee's.

use ogg::writing::{PacketWriteEndInfo, PacketWriter};

use crate::codec::{Encoded, Encoder, OpusSettings, Rate};

/// Makes a file of frames.
pub(super) struct OggOpus {
    encoders: [Encoder; 2],
    writer: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    /// Units of 48 kHz up to now.
    granule: u64,
    coded: Vec<u8>,
    /// A page is ended after so many packets: a second.
    in_page: u32,
    /// The packet that is written when it is known whether it is the last.
    waiting: Option<Vec<u8>>,
}

impl OggOpus {
    /// A file whose sound has this rate; `None` where an encoder cannot be made.
    pub(super) fn new(rate: Rate, serial: u32) -> Option<OggOpus> {
        let settings = OpusSettings { rate, ..OpusSettings::default() };
        let encoders = [Encoder::opus(settings).ok()?, Encoder::opus(settings).ok()?];
        let mut writer = PacketWriter::new(Vec::new());
        let end = PacketWriteEndInfo::EndPage;
        writer.write_packet(head(rate), serial, end, 0).ok()?;
        writer.write_packet(tags(), serial, end, 0).ok()?;
        let coded = Vec::with_capacity(1275);
        Some(OggOpus { encoders, writer, serial, granule: 0, coded, in_page: 0, waiting: None })
    }

    /// 20 ms of both sides.
    pub(super) fn frame(&mut self, sides: [&[i16]; 2]) {
        let mut packet = Vec::with_capacity(160);
        for (n, (encoder, pcm)) in self.encoders.iter_mut().zip(sides).enumerate() {
            if encoder.encode(pcm, &mut self.coded) != Ok(Encoded::Frame) || self.coded.is_empty() {
                return;
            }
            match n {
                0 => delimited(&self.coded, &mut packet),
                _ => packet.extend_from_slice(&self.coded),
            }
        }
        if let Some(before) = self.waiting.replace(packet) {
            self.in_page += 1;
            let end = match self.in_page.is_multiple_of(PAGE) {
                true => PacketWriteEndInfo::EndPage,
                false => PacketWriteEndInfo::NormalPacket,
            };
            self.write(before, end);
        }
    }

    /// What is ready to be kept.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    /// The last of it.
    pub(super) fn end(&mut self) -> Vec<u8> {
        if let Some(last) = self.waiting.take() {
            self.write(last, PacketWriteEndInfo::EndStream);
        }
        self.take()
    }

    fn write(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo) {
        self.granule += 960;
        // Writing into memory does not fail.
        let _ = self.writer.write_packet(packet, self.serial, end, self.granule + PRE_SKIP);
    }
}

/// The identification header (RFC 7845 5.1).
fn head(rate: Rate) -> Vec<u8> {
    let mut out = b"OpusHead\x01\x02".to_vec();
    out.extend((PRE_SKIP as u16).to_le_bytes());
    out.extend(rate.hz().to_le_bytes());
    // No gain; family 1: two streams, none of them coupled, left from the first, right from the second.
    out.extend([0, 0, 1, 2, 0, 0, 1]);
    out
}

/// The comment header (RFC 7845 5.2).
fn tags() -> Vec<u8> {
    let mut out = b"OpusTags".to_vec();
    out.extend((VENDOR.len() as u32).to_le_bytes());
    out.extend(VENDOR.as_bytes());
    out.extend(0u32.to_le_bytes());
    out
}

/// A packet of one frame with its length in it (RFC 6716 appendix B, figure 25).
fn delimited(packet: &[u8], out: &mut Vec<u8>) {
    let Some((toc, frame)) = packet.split_first() else { return };
    debug_assert_eq!(toc & 3, 0, "20 ms are one frame");
    out.push(*toc);
    match frame.len() {
        // RFC 6716 3.2.1
        short @ 0..252 => out.push(short as u8),
        long => {
            let low = 252 + (long % 4);
            out.extend([low as u8, ((long - low) / 4) as u8]);
        }
    }
    out.extend_from_slice(frame);
}

/// The encoder's own delay in units of 48 kHz: 6.5 ms, what libopus has for speech.
const PRE_SKIP: u64 = 312;
/// Packets of a page: what a crash may cost.
const PAGE: u32 = 50;
const VENDOR: &str = concat!("Crosspoint ", env!("CARGO_PKG_VERSION"));
