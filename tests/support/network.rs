//! A network namespace with two ways to this machine, of which one is up: a telephone that leaves the
//! house. Needs root.

use std::process::Command;

/// The namespace; it goes away with the value.
pub struct Network {
    pub name: String,
    number: u8,
}

impl Network {
    /// A namespace that reaches [`Network::address`] by its first way.
    pub fn start() -> Network {
        let number = (std::process::id() % 200) as u8;
        let network = Network { name: format!("crosspoint{number}"), number };
        network.drop_all();
        ip(&format!("netns add {}", network.name));
        ip(&format!("addr add {}/32 dev lo", network.address()));
        for way in [1, 2] {
            let (near, far) = network.links(way);
            ip(&format!("link add {near} type veth peer name {far} netns {}", network.name));
            ip(&format!("addr add 10.77.{}.1/24 dev {near}", network.subnet(way)));
            ip(&format!("link set {near} up"));
        }
        network.within("link set lo up");
        network.up(1);
        network
    }

    /// This machine, as seen from there.
    pub fn address(&self) -> String {
        format!("10.76.{}.1", self.number)
    }

    /// The first way is gone, the second one comes.
    pub fn move_on(&self) {
        let (_, far) = self.links(1);
        // Its address, too, is gone: what was bound to it can send no more.
        self.within(&format!("addr flush dev {far}"));
        self.within(&format!("link set {far} down"));
        self.up(2);
    }

    fn up(&self, way: u8) {
        let (_, far) = self.links(way);
        let subnet = self.subnet(way);
        self.within(&format!("addr add 10.77.{subnet}.2/24 dev {far}"));
        self.within(&format!("link set {far} up"));
        self.within(&format!("route replace default via 10.77.{subnet}.1"));
    }

    fn subnet(&self, way: u8) -> u8 {
        // Neighbours of another test that runs beside are not ours.
        self.number / 2 * 2 % 200 + (way - 1) + 50
    }

    fn links(&self, way: u8) -> (String, String) {
        (format!("cp{}n{way}", self.number), format!("cp{}f{way}", self.number))
    }

    fn within(&self, words: &str) {
        ip(&format!("-n {} {words}", self.name));
    }

    fn drop_all(&self) {
        let run = |words: &str| {
            let _ = Command::new("ip").args(words.split(' ')).output();
        };
        run(&format!("netns del {}", self.name));
        for way in [1, 2] {
            run(&format!("link del {}", self.links(way).0));
        }
        run(&format!("addr del {}/32 dev lo", self.address()));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.drop_all();
    }
}

fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words}: {said} (it wants root)");
}
