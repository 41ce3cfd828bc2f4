//! The workers as one: placement of new calls, gauges, shutdown.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use mio::{Poll, Token, Waker};
use tokio::sync::mpsc;

use super::ports::Ports;
use super::worker::{CallKey, Inbox, LATE_US, Load, Message, Worker, WorkerConfig, channel};
use super::{Error, MediaEvent, PoolConfig, Session};
use crate::base::CallId;

/// All media workers. Dropping it ends every session and joins the threads.
#[derive(Debug)]
pub struct Pool {
    workers: Vec<Handle>,
    ports: Ports,
    calls_per_worker: usize,
    next_key: AtomicU64,
}

#[derive(Debug)]
struct Handle {
    inbox: Inbox,
    load: Arc<Load>,
    thread: Option<JoinHandle<()>>,
}

/// Numbers of the pool as they are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Calls with open media.
    pub sessions: usize,
    /// Calls that would be taken at most.
    pub capacity: usize,
    /// UDP ports held toward trunks (RTP and RTCP each count).
    pub ports: usize,
    /// How late the latest worker meets its deadlines, in microseconds, averaged.
    pub tick_late_us: u64,
    /// How busy the busiest worker is, in thousandths.
    pub busy: u32,
    /// The complexity of Opus that load has brought the busiest worker to.
    pub complexity: u8,
    /// Ticks so far by lateness: one class for each of [`Gauges::LATE_US`] and one for what is later.
    pub late: [u64; LATE_US.len() + 1],
    /// The sum of all lateness so far, in microseconds.
    pub late_sum_us: u64,
    /// Defects caught so far, each of which ended one call.
    pub panics: u64,
    /// Datagrams the system did not take and events that were not read, of ended calls.
    pub dropped: u64,
}

impl Gauges {
    /// Upper ends of the classes of [`Gauges::late`], in microseconds.
    pub const LATE_US: [u64; LATE_US.len()] = LATE_US;
}

/// Events that wait for a session's owner.
const MAX_EVENTS: usize = 256;

impl Pool {
    /// Binds the sockets and starts the threads.
    ///
    /// # Errors
    /// [`Error::System`] for an address that cannot be bound, [`Error::NoPort`] for a port range
    /// without a pair.
    pub fn start(config: PoolConfig) -> Result<Self, Error> {
        let ports = Ports::new(config.rtp_bind, &config.rtp_ports)?;
        let advertised = config.rtp_advertise.unwrap_or(config.rtp_bind);
        if advertised.is_unspecified() || config.interfaces.is_empty() {
            let text = "media needs an address to advertise, to browsers and to trunks";
            return Err(Error::System(text.to_owned()));
        }
        let count = match config.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let mut pool = Self {
            workers: Vec::with_capacity(count),
            ports: ports.clone(),
            calls_per_worker: config.calls_per_worker,
            next_key: AtomicU64::new(1),
        };
        for number in 0..count {
            let worker = WorkerConfig {
                number,
                interfaces: config.interfaces.clone(),
                ice_lite: config.ice_lite,
                ports: ports.clone(),
                rtp_advertise: config.rtp_advertise,
                opus: config.opus,
                opus_parameters: config.opus_parameters(),
                playout: config.playout,
                lost_after: config.lost_after,
                stats_every: config.stats_every,
            };
            pool.workers.push(Handle::start(worker)?);
        }
        Ok(pool)
    }

    /// Opens the media of one call on the worker with the least load.
    ///
    /// The receiver must be read: it holds 256 events, and those beyond are dropped and counted.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when every worker is full or late; calls in progress are not touched.
    pub fn open(&self, call: CallId) -> Result<(Session, mpsc::Receiver<MediaEvent>), Error> {
        let worker = loop {
            let has_room =
                |w: &&Handle| w.load.takes_more() && w.inbox.calls() < self.calls_per_worker;
            let ready = self.workers.iter().filter(has_room);
            let least = ready.min_by_key(|w| (w.load.expected(), w.inbox.calls()));
            let worker = least.ok_or(Error::Overloaded)?;
            // Somebody else may have got its last place: then it is full, and another is asked.
            if worker.inbox.reserve(self.calls_per_worker).is_ok() {
                break worker;
            }
        };
        worker.load.placed();
        let key = CallKey(self.next_key.fetch_add(1, Ordering::Relaxed));
        let (events, receiver) = mpsc::channel(MAX_EVENTS);
        if let Err(error) = worker.inbox.send(Message::Open { key, call, events }) {
            worker.inbox.unreserve();
            return Err(error);
        }
        Ok((Session::new(key, worker.inbox.clone()), receiver))
    }

    /// Where the RTP legs of this machine reach each other.
    pub fn own_address(&self) -> IpAddr {
        self.ports.own_address()
    }

    /// Current numbers.
    pub fn gauges(&self) -> Gauges {
        let loads = self.workers.iter().map(|w| &w.load);
        let (mut late, mut late_sum_us) = ([0; LATE_US.len() + 1], 0);
        for load in loads.clone() {
            let (counts, sum) = load.late();
            late.iter_mut().zip(counts).for_each(|(all, more)| *all += more);
            late_sum_us += sum;
        }
        Gauges {
            busy: loads.clone().map(|l| l.busy()).max().unwrap_or(0),
            complexity: loads.clone().map(|l| l.complexity()).min().unwrap_or(0),
            late,
            late_sum_us,
            sessions: self.workers.iter().map(|w| w.inbox.calls()).sum(),
            capacity: self.calls_per_worker * self.workers.len(),
            ports: self.ports.in_use(),
            tick_late_us: loads.clone().map(|l| l.late_us()).max().unwrap_or(0),
            panics: loads.clone().map(|l| l.panics()).sum(),
            dropped: loads.map(|l| l.dropped()).sum(),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.inbox.stop();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // A worker that panicked has ended too; its calls are gone with it.
                let _ = thread.join();
            }
        }
    }
}

impl Handle {
    fn start(config: WorkerConfig) -> Result<Self, Error> {
        let system = |error: std::io::Error| Error::System(error.to_string());
        let poll = Poll::new().map_err(system)?;
        let waker = Waker::new(poll.registry(), Token(0)).map_err(system)?;
        let (inbox, mailbox) = channel(Arc::new(waker));
        let load = Arc::new(Load::default());
        let name = format!("media-{}", config.number);
        let worker = Worker::new(config, poll, mailbox, Arc::clone(&load))?;
        let thread =
            std::thread::Builder::new().name(name).spawn(move || worker.run()).map_err(system)?;
        Ok(Self { inbox, load, thread: Some(thread) })
    }
}
