//! A cable between a browser and the gateway's port that a test can cut and join again.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Carries TCP from a port of its own to another one.
pub struct Cable {
    /// `http://127.0.0.1:port`
    pub base: String,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    cut: AtomicBool,
    next: AtomicU64,
    ends: Mutex<HashMap<u64, [TcpStream; 2]>>,
}

impl Cable {
    /// To the server at `base`.
    pub fn to(base: &str) -> Cable {
        let to = base.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            to,
            cut: AtomicBool::new(false),
            next: AtomicU64::new(0),
            ends: Mutex::default(),
        });
        let carried = shared.clone();
        // It ends with the process: a listener has no other way to be woken.
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if !carried.cut.load(Ordering::SeqCst) {
                    carry(&carried, near);
                }
            }
        });
        Cable { base, shared }
    }

    /// Every connection breaks, and new ones are refused.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::SeqCst);
        for [near, far] in self.shared.ends.lock().unwrap().values() {
            let _ = near.shutdown(Shutdown::Both);
            let _ = far.shutdown(Shutdown::Both);
        }
    }

    /// New connections come through again.
    pub fn join(&self) {
        self.shared.cut.store(false, Ordering::SeqCst);
    }
}

fn carry(shared: &Arc<Shared>, near: TcpStream) {
    let Ok(far) = TcpStream::connect(shared.to) else { return };
    let number = shared.next.fetch_add(1, Ordering::SeqCst);
    let copies = [near.try_clone().unwrap(), far.try_clone().unwrap()];
    shared.ends.lock().unwrap().insert(number, copies);
    let pairs = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
    for (mut from, mut to) in pairs {
        let shared = shared.clone();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(length) = from.read(&mut buffer)
                && length > 0
                && to.write_all(&buffer[..length]).is_ok()
            {}
            let _ = to.shutdown(Shutdown::Both);
            shared.ends.lock().unwrap().remove(&number);
        });
    }
}
