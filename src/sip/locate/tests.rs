//! RFC 3263 against a DNS made of tables, in virtual time.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::engine::{LAST_FOR, LONGEST};
use super::*;
use crate::base::epoch;
use crate::sip::command::{Destination, Transport};

/// A locator, its clock and its DNS.
struct World {
    now: Instant,
    locator: Locator,
    zone: HashMap<Question, Vec<Record>>,
    ttl: Duration,
    dns: Dns,
    asked: Vec<String>,
    last: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Dns {
    Answers,
    Fails,
    Silent,
}

impl World {
    /// One record a line: `naptr NAME ORDER PREFERENCE SERVICE REPLACEMENT`, `srv NAME PRIORITY WEIGHT
    /// PORT TARGET`, `a NAME ADDRESS`, `aaaa NAME ADDRESS`.
    fn new(zone: &str) -> World {
        let reachable =
            Reachable { transports: vec![Transport::Udp, Transport::Tcp], ipv4: true, ipv6: true };
        let mut records: HashMap<Question, Vec<Record>> = HashMap::new();
        for line in zone.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words[1].to_owned();
            let number = |n: usize| words[n].parse().unwrap();
            let (question, record) = match words[0] {
                "naptr" => (
                    Question::Naptr(name),
                    Record::Naptr(Naptr {
                        order: number(2),
                        preference: number(3),
                        flags: "s".to_owned(),
                        service: words[4].to_owned(),
                        replacement: words[5].to_owned(),
                    }),
                ),
                "srv" => (
                    Question::Srv(name),
                    Record::Srv(Srv {
                        priority: number(2),
                        weight: number(3),
                        port: number(4),
                        target: words[5].trim_end_matches('.').to_owned(),
                    }),
                ),
                "a" => (Question::A(name), Record::Address(words[2].parse().unwrap())),
                _ => (Question::Aaaa(name), Record::Address(words[2].parse().unwrap())),
            };
            records.entry(question).or_default().push(record);
        }
        World {
            now: epoch(),
            locator: Locator::new(reachable, [3; 32]),
            zone: records,
            ttl: Duration::from_secs(300),
            dns: Dns::Answers,
            asked: Vec::new(),
            last: 0,
        }
    }

    /// Locates `sip:TEXT` and gives the destinations as `udp 192.0.2.1:5060`, and the time it took.
    fn locate(&mut self, text: &str) -> Result<Vec<String>, LocateError> {
        let mut parts = text.split(';');
        let (host, port) = match parts.next().unwrap().rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().unwrap())),
            None => (text.split(';').next().unwrap(), None),
        };
        let transport = parts.next().map(|word| match word {
            "transport=udp" => Transport::Udp,
            "transport=tcp" => Transport::Tcp,
            _ => panic!("{word}"),
        });
        self.last += 1;
        let key = LookUp(self.last);
        let wanted = Wanted { host: host.to_owned(), port, transport };
        self.locator.handle_input(self.now, Input::Locate(key, wanted));
        self.finish(key)
    }

    fn finish(&mut self, key: LookUp) -> Result<Vec<String>, LocateError> {
        loop {
            match self.locator.poll_output() {
                Output::Ask(question) => {
                    self.asked.push(short(&question));
                    let reply = match self.dns {
                        Dns::Answers => Reply::Records {
                            records: self.zone.get(&question).cloned().unwrap_or_default(),
                            ttl: self.ttl,
                        },
                        Dns::Fails => Reply::Failed,
                        Dns::Silent => continue,
                    };
                    self.locator.handle_input(self.now, Input::Replied(question, reply));
                }
                Output::Located(own, found) => {
                    assert_eq!(own, key);
                    return found.map(|found| found.iter().map(written).collect());
                }
                Output::Timeout(due) => {
                    self.now = due.expect("an open look-up has an end");
                    self.locator.handle_input(self.now, Input::Timeout);
                }
            }
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.asked)
    }
}

fn short(question: &Question) -> String {
    match question {
        Question::Naptr(name) => format!("naptr {name}"),
        Question::Srv(name) => format!("srv {name}"),
        Question::A(name) => format!("a {name}"),
        Question::Aaaa(name) => format!("aaaa {name}"),
    }
}

fn written(destination: &Destination) -> String {
    format!("{} {}", destination.transport.token().to_lowercase(), destination.address)
}

const NORTH: &str = "
    naptr north.example 20 0 SIP+D2U _sip._udp.north.example
    naptr north.example 10 5 SIP+D2T _sip._tcp.pool.example
    naptr north.example 5 0 SIPS+D2T _sips._tcp.north.example
    naptr north.example 5 0 E2U+sip x.example
    srv _sip._udp.north.example 2 0 5060 b.north.example
    srv _sip._udp.north.example 1 0 5062 a.north.example.
    srv _sip._tcp.pool.example 1 0 5060 a.north.example
    srv _sip._udp.plain.example 1 0 5060 a.north.example
    srv _sip._udp.none.example 0 0 0 .
    a none.example 192.0.2.9
    a a.north.example 192.0.2.1
    a a.north.example 192.0.2.2
    aaaa a.north.example 2001:db8::1
    a b.north.example 192.0.2.3
    a host.example 192.0.2.7
    aaaa six.example 2001:db8::6
";

#[test]
fn every_form_of_target_finds_its_destinations() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("192.0.2.1", &[], &["udp 192.0.2.1:5060"]),
        ("192.0.2.1:5070;transport=tcp", &[], &["tcp 192.0.2.1:5070"]),
        (
            "North.Example",
            &[
                "naptr north.example",
                "srv _sip._tcp.pool.example",
                "srv _sip._udp.north.example",
                "a a.north.example",
                "aaaa a.north.example",
                "a b.north.example",
                "aaaa b.north.example",
            ],
            &[
                "tcp 192.0.2.1:5060",
                "tcp 192.0.2.2:5060",
                "tcp [2001:db8::1]:5060",
                "udp 192.0.2.1:5062",
                "udp 192.0.2.2:5062",
                "udp [2001:db8::1]:5062",
                "udp 192.0.2.3:5060",
            ],
        ),
        (
            "north.example;transport=udp",
            &[
                "srv _sip._udp.north.example",
                "a a.north.example",
                "aaaa a.north.example",
                "a b.north.example",
                "aaaa b.north.example",
            ],
            &[
                "udp 192.0.2.1:5062",
                "udp 192.0.2.2:5062",
                "udp [2001:db8::1]:5062",
                "udp 192.0.2.3:5060",
            ],
        ),
        (
            "plain.example",
            &[
                "naptr plain.example",
                "srv _sip._udp.plain.example",
                "srv _sip._tcp.plain.example",
                "a a.north.example",
                "aaaa a.north.example",
            ],
            &["udp 192.0.2.1:5060", "udp 192.0.2.2:5060", "udp [2001:db8::1]:5060"],
        ),
        (
            "host.example",
            &[
                "naptr host.example",
                "srv _sip._udp.host.example",
                "srv _sip._tcp.host.example",
                "a host.example",
                "aaaa host.example",
            ],
            &["udp 192.0.2.7:5060"],
        ),
        ("host.example:5080", &["a host.example", "aaaa host.example"], &["udp 192.0.2.7:5080"]),
        (
            "six.example;transport=tcp",
            &["srv _sip._tcp.six.example", "a six.example", "aaaa six.example"],
            &["tcp [2001:db8::6]:5060"],
        ),
    ];
    for (target, asked, found) in table {
        let mut world = World::new(NORTH);
        let got = world.locate(target).unwrap();
        assert_eq!(got, *found, "{target}");
        assert_eq!(world.asked(), *asked, "{target}");
    }
    assert_eq!(World::new(NORTH).locate("nobody.example"), Err(LocateError::NoSuchName));
}

#[test]
fn only_reachable_families_and_transports_are_asked_for() {
    let mut world = World::new(NORTH);
    let (transports, ipv4, ipv6) = (vec![Transport::Udp], true, false);
    world.locator = Locator::new(Reachable { transports, ipv4, ipv6 }, [3; 32]);
    let found = world.locate("north.example").unwrap();
    assert_eq!(found, ["udp 192.0.2.1:5062", "udp 192.0.2.2:5062", "udp 192.0.2.3:5060"]);
    assert!(world.asked().iter().all(|own| !own.contains("aaaa") && !own.contains("_tcp")));
}

#[test]
fn equal_priorities_share_calls_by_weight() {
    let mut world = World::new(
        "srv _sip._udp.w.example 1 60 5060 a.w.example
         srv _sip._udp.w.example 1 30 5060 b.w.example
         srv _sip._udp.w.example 1 10 5060 c.w.example
         srv _sip._udp.w.example 2 99 5060 d.w.example
         a a.w.example 192.0.2.1
         a b.w.example 192.0.2.2
         a c.w.example 192.0.2.3
         a d.w.example 192.0.2.4",
    );
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..2000 {
        let found = world.locate("w.example;transport=udp").unwrap();
        assert_eq!((found.len(), found[3].as_str()), (4, "udp 192.0.2.4:5060"));
        *first.entry(found[0].clone()).or_default() += 1;
    }
    let share: Vec<u32> = first.values().copied().collect();
    assert_eq!(share.iter().sum::<u32>(), 2000);
    for (got, expected) in share.iter().zip([1200_u32, 600, 200]) {
        assert!(got.abs_diff(expected) < 80, "{first:?}");
    }
}

#[test]
fn answers_hold_as_long_as_their_ttl() {
    let mut world = World::new(NORTH);
    world.ttl = Duration::from_secs(60);
    world.locate("host.example:5060").unwrap();
    world.asked();
    world.wait(59);
    world.locate("host.example:5060").unwrap();
    assert!(world.asked().is_empty());
    world.wait(1);
    world.locate("host.example:5060").unwrap();
    assert_eq!(world.asked(), ["a host.example", "aaaa host.example"]);
    // TTL 0 serves the look-up that asked, and no other.
    world.wait(60);
    world.ttl = Duration::ZERO;
    world.locate("host.example:5060").unwrap();
    world.wait(1);
    world.locate("host.example:5060").unwrap();
    assert_eq!(world.asked().len(), 4);
}

#[test]
fn old_answers_serve_while_the_dns_is_dead() {
    let mut world = World::new(NORTH);
    let fresh = world.locate("north.example").unwrap();
    world.asked();
    world.dns = Dns::Fails;
    world.wait(301);
    assert_eq!(world.locate("north.example").unwrap(), fresh);
    assert_eq!(world.asked().len(), 7);
    world.wait(20);
    assert_eq!(world.locate("north.example").unwrap(), fresh);
    assert!(world.asked().is_empty(), "asked again too soon");
    world.wait(11);
    world.locate("north.example").unwrap();
    assert_eq!(world.asked().len(), 7);
    assert_eq!(world.locate("new.example"), Err(LocateError::NoAnswer));
    world.wait(2 * 24 * 3600);
    assert_eq!(world.locate("north.example"), Err(LocateError::NoAnswer));
}

#[test]
fn a_silent_dns_costs_a_caller_three_seconds_and_the_next_one_nothing() {
    let mut world = World::new(NORTH);
    let fresh = world.locate("host.example:5060").unwrap();
    world.dns = Dns::Silent;
    world.wait(301);
    let start = world.now;
    assert_eq!(world.locate("host.example:5060").unwrap(), fresh);
    assert_eq!(world.now - start, LONGEST);
    let start = world.now;
    assert_eq!(world.locate("host.example:5060").unwrap(), fresh);
    assert_eq!(world.now, start);
    let start = world.now;
    assert_eq!(world.locate("new.example"), Err(LocateError::NoAnswer));
    assert_eq!(world.now - start, LONGEST);
}

#[test]
fn two_look_ups_of_one_name_ask_once() {
    let mut world = World::new(NORTH);
    let wanted = Wanted { host: "host.example".to_owned(), port: Some(5060), transport: None };
    for key in [LookUp(1), LookUp(2)] {
        world.locator.handle_input(world.now, Input::Locate(key, wanted.clone()));
    }
    assert!(world.finish(LookUp(1)).is_ok());
    assert!(world.finish(LookUp(2)).is_ok());
    assert_eq!(world.asked(), ["a host.example", "aaaa host.example"]);
}

#[test]
fn who_did_not_answer_is_tried_last_for_a_while() {
    let mut world = World::new(NORTH);
    let before = world.locate("a.north.example:5060").unwrap();
    let first = Destination::udp("192.0.2.1:5060".parse().unwrap());
    world.locator.handle_input(world.now, Input::Unreachable(first));
    let after = world.locate("a.north.example:5060").unwrap();
    assert_eq!((&after[0], &after[2]), (&before[1], &before[0]));
    world.now += LAST_FOR;
    assert_eq!(world.locate("a.north.example:5060").unwrap(), before);
}

#[test]
fn the_cache_is_bounded() {
    let mut world = World::new("");
    for n in 0..3_000 {
        assert_eq!(world.locate(&format!("n{n}.example:1")), Err(LocateError::NoSuchName));
    }
    assert!(world.locator.cached() <= super::cache::MOST_ENTRIES);
}
