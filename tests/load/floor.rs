//! The floor: libopus, SRTP and the sockets in a bare loop, and nothing else. No ICE, no playout
//! buffer, no RTCP, no numbers. What a gateway that transcodes cannot be cheaper than.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;

use audiopus::coder::{Decoder, Encoder};
use audiopus::packet::Packet;
use audiopus::{Application, Bitrate, Channels, SampleRate};
use crosspoint::codec::{self, FRAME};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::srtp::{Srtp, rtp};

struct Call {
    trunk: UdpSocket,
    to_trunk: Option<SocketAddr>,
    to_page: Option<SocketAddr>,
    encoder: Encoder,
    decoder: Decoder,
    from_page: Srtp,
    toward_page: Srtp,
    seq: u16,
    timestamp: u32,
}

/// Serves `calls` until it is killed. Pages name their call in the SSRC.
pub fn run(calls: usize, complexity: u8, loss: u8) {
    let mut poll = Poll::new().unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut page_socket = UdpSocket::bind(any).unwrap();
    poll.registry().register(&mut page_socket, Token(0), Interest::READABLE).unwrap();
    let mut all: Vec<Call> = (0..calls)
        .map(|n| {
            let mut trunk = UdpSocket::bind(any).unwrap();
            poll.registry().register(&mut trunk, Token(n + 1), Interest::READABLE).unwrap();
            let mut encoder =
                Encoder::new(SampleRate::Hz8000, Channels::Mono, Application::Voip).unwrap();
            encoder.set_bitrate(Bitrate::BitsPerSecond(24_000)).unwrap();
            encoder.set_complexity(complexity).unwrap();
            encoder.set_inband_fec(loss > 0).unwrap();
            encoder.set_packet_loss_perc(loss).unwrap();
            Call {
                trunk,
                to_trunk: None,
                to_page: None,
                encoder,
                decoder: Decoder::new(SampleRate::Hz8000, Channels::Mono).unwrap(),
                from_page: Srtp::new(),
                toward_page: Srtp::new(),
                seq: 0,
                timestamp: 0,
            }
        })
        .collect();
    print!("ready {}", page_socket.local_addr().unwrap());
    all.iter().for_each(|call| print!(" {}", call.trunk.local_addr().unwrap()));
    println!();
    std::io::stdout().flush().unwrap();
    let expand: Vec<i16> = {
        let mut pcm = Vec::new();
        let bytes: Vec<u8> = (0..=255).collect();
        codec::Decoder::new(codec::Codec::Pcmu).unwrap().decode(&bytes, &mut pcm).unwrap();
        pcm
    };
    let mut events = Events::with_capacity(256);
    let mut buffer = vec![0; 1500];
    let (mut pcm, mut payload, mut coded) = ([0i16; 960], Vec::new(), [0u8; 1275]);
    loop {
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            let Token(token) = event.token();
            loop {
                let socket = if token == 0 { &page_socket } else { &all[token - 1].trunk };
                let (length, source) = match socket.recv_from(&mut buffer) {
                    Ok(received) => received,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                };
                if token == 0 {
                    let ssrc = u32::from_be_bytes(buffer[8..12].try_into().unwrap());
                    let call = &mut all[ssrc as usize];
                    call.to_page = Some(source);
                    let header: [u8; 12] = buffer[..12].try_into().unwrap();
                    let Some(opus) = call.from_page.unprotect(&mut buffer[..length]) else {
                        continue;
                    };
                    let packet = Packet::try_from(opus).unwrap();
                    let out = (&mut pcm[..]).try_into().unwrap();
                    let samples = call.decoder.decode(Some(packet), out, false).unwrap();
                    codec::Encoder::Pcmu.encode(&pcm[..samples], &mut payload).unwrap();
                    let seq = u16::from_be_bytes([header[2], header[3]]);
                    let timestamp = u32::from(seq) * FRAME as u32;
                    let out = rtp(0, seq, timestamp, ssrc, &payload);
                    if let Some(to) = call.to_trunk {
                        let _ = call.trunk.send_to(&out, to);
                    }
                } else {
                    let call = &mut all[token - 1];
                    call.to_trunk = Some(source);
                    for (sample, byte) in pcm.iter_mut().zip(&buffer[12..length]) {
                        *sample = expand[usize::from(*byte)];
                    }
                    let length = call.encoder.encode(&pcm[..length - 12], &mut coded).unwrap();
                    call.seq = u16::from_be_bytes([buffer[2], buffer[3]]);
                    call.timestamp =
                        u32::from_be_bytes(buffer[4..8].try_into().unwrap()).wrapping_mul(6);
                    let mut out = rtp(111, call.seq, call.timestamp, 1, &coded[..length]);
                    call.toward_page.protect(&mut out);
                    if let Some(to) = call.to_page {
                        let _ = page_socket.send_to(&out, to);
                    }
                }
            }
        }
    }
}
