//! The plan as it is in force: every name resolved, every value typed. Made only by `load`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::index::{Index, Members};
use super::number::{NumberType, Region};
use super::pattern::Pattern;
use super::rates::Rates;
use super::schedule::{Schedule, Zone};
use super::test_case::TestCase;
use crate::base::{DialString, DtmfMode, E164, Finding, Place, TrunkId, UserId};

/// A dial plan that has no mistake in it.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) file: String,
    pub(super) country: Region,
    pub(super) zone: Zone,
    pub(super) max_call: Duration,
    pub(super) users: Option<BTreeMap<UserId, Option<Region>>>,
    pub(super) caller_ids: BTreeMap<String, CallerIdentity>,
    pub(super) caller_id: Option<String>,
    /// In the order of the file.
    pub(super) groups: Vec<(String, Group)>,
    /// Which of them each user is in.
    pub(super) members: Members,
    pub(super) emergency: Emergency,
    pub(super) extensions: BTreeMap<DialString, Destination>,
    pub(super) features: BTreeMap<DialString, Destination>,
    /// Where extensions and feature codes are written.
    pub(super) code_places: BTreeMap<DialString, Place>,
    pub(super) outbound: Vec<OutboundRule>,
    pub(super) inbound: Vec<InboundRule>,
    pub(super) outbound_index: Index,
    pub(super) inbound_index: Index,
    pub(super) rings: BTreeMap<String, Ring>,
    pub(super) voicemails: BTreeMap<String, Voicemail>,
    pub(super) menus: BTreeMap<String, Menu>,
    pub(super) schedules: BTreeMap<String, Schedule>,
    pub(super) tests: Vec<TestCase>,
    pub(super) warnings: Vec<Finding>,
}

impl Plan {
    /// The file's name as it was given to `load`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The start of the file, for what has no place of its own.
    pub(super) fn top(&self) -> Place {
        Place { file: self.file.as_str().into(), line: 1, column: 1 }
    }

    /// What somebody should look at, in the order of the file; none of it stops the plan.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The country of users who have none of their own.
    pub fn default_country(&self) -> Region {
        self.country
    }

    /// A moment that a person wrote: RFC 3339, or a local time of the plan's zone (in the hour that a
    /// clock change skips, the later; in the one it repeats, the earlier).
    pub fn moment(&self, text: &str) -> Option<jiff::Timestamp> {
        self.zone.read(text)
    }

    /// Whether the plan reaches emergency services; where not, the page's `features` lack it.
    pub fn provides_emergency(&self) -> bool {
        matches!(self.emergency, Emergency::Provided { .. })
    }

    /// The first extension or feature code that gives back what it hears, as it is dialled.
    pub fn echo_line(&self) -> Option<&str> {
        let mut codes = self.extensions.iter().chain(&self.features);
        let echo = codes.find(|(_, to)| **to == Destination::App(App::Echo));
        echo.map(|(code, _)| code.as_str())
    }

    /// The `[[outbound]]` rules in the order of the file.
    pub fn outbound(&self) -> &[OutboundRule] {
        &self.outbound
    }

    /// The `[[inbound]]` rules in the order of the file.
    pub fn inbound(&self) -> &[InboundRule] {
        &self.inbound
    }

    /// A destination that somebody names while a call waits, `user:alice`: one of this plan's, or a
    /// number. `None` where there is no such thing; nobody asks a second webhook.
    pub fn destination(&self, text: &str) -> Option<Destination> {
        let named = |there: bool, name: &str| there.then(|| name.to_owned());
        match text.split_once(':') {
            None => (text == "hangup").then_some(Destination::Hangup),
            Some(("user", user)) => {
                let user: UserId = user.parse().ok()?;
                let known = self.users.as_ref().is_none_or(|users| users.contains_key(&user));
                known.then_some(Destination::User(user))
            }
            Some(("ring", name)) => named(self.ring(name).is_some(), name).map(Destination::Ring),
            Some(("voicemail", name)) => {
                named(self.voicemail(name).is_some(), name).map(Destination::Voicemail)
            }
            Some(("menu", name)) => named(self.menu(name).is_some(), name).map(Destination::Menu),
            Some(("app", word)) => {
                let (_, app) = App::WORDS.iter().find(|(known, _)| *known == word)?;
                Some(Destination::App(*app))
            }
            Some(("number", number)) => number.parse().ok().map(Destination::Number),
            Some(_) => None,
        }
    }

    /// A ring group of `[ring.NAME]`.
    pub fn ring(&self, name: &str) -> Option<&Ring> {
        self.rings.get(name)
    }

    /// A mailbox of `[voicemail.NAME]`.
    pub fn voicemail(&self, name: &str) -> Option<&Voicemail> {
        self.voicemails.get(name)
    }

    /// All of `[menu.*]`.
    pub fn menus(&self) -> &BTreeMap<String, Menu> {
        &self.menus
    }

    /// All of `[voicemail.*]`.
    pub fn voicemails(&self) -> &BTreeMap<String, Voicemail> {
        &self.voicemails
    }

    /// A menu of `[menu.NAME]`.
    pub fn menu(&self, name: &str) -> Option<&Menu> {
        self.menus.get(name)
    }

    /// The groups a user is in, in the order of the file.
    pub fn groups_of(&self, user: &UserId) -> impl Iterator<Item = &str> {
        self.memberships(user).map(|(name, _)| name)
    }

    pub(super) fn memberships(&self, user: &UserId) -> impl Iterator<Item = (&str, &Group)> {
        let groups = self.members.of_user(user).iter();
        groups.filter_map(|index| {
            let (name, group) = self.groups.get(usize::try_from(*index).ok()?)?;
            Some((name.as_str(), group))
        })
    }

    /// The longest call where no rule says otherwise.
    pub fn max_call(&self) -> Duration {
        self.max_call
    }

    /// Every trunk that the plan may send a call to.
    pub fn trunks(&self) -> Vec<&TrunkId> {
        let emergency = match &self.emergency {
            Emergency::Provided { route, .. } => route.as_slice(),
            Emergency::NotProvided => &[],
        };
        let routes = self.outbound.iter().filter_map(|rule| match &rule.action {
            Action::Route { route, .. } => Some(route.trunks.as_slice()),
            Action::Deny(_) => None,
        });
        let mut all: Vec<&TrunkId> = emergency.iter().chain(routes.flatten()).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// A caller identity of `[caller_id.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallerIdentity {
    /// The number shown.
    pub number: E164,
    /// The name shown with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How the trunk is told.
    pub present: Presentation,
}

/// How a caller identity is told to the trunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presentation {
    /// In `P-Asserted-Identity` (RFC 3325).
    #[default]
    Identity,
    /// In `From`.
    From,
    /// Asserted to the trunk and hidden from the called party (`Privacy: id`, RFC 3323).
    Anonymous,
}

/// Users under one name.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its members.
    pub users: Vec<UserId>,
    /// Names of `[caller_id.*]`; the first is used unless another is asked for.
    pub caller_ids: Vec<String>,
}

/// What happens to emergency numbers.
#[derive(Debug, Clone)]
pub enum Emergency {
    /// The plan says in words that it does not reach them.
    NotProvided,
    /// They go out over these trunks, past every rule and cap.
    Provided {
        /// Numbers by the caller's country.
        numbers: BTreeMap<Region, Vec<DialString>>,
        /// Trunks in order.
        route: Vec<TrunkId>,
        /// The identity shown where the caller has none of its own.
        caller_id: Option<String>,
    },
}

/// Where a call can go inside the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// A user's pages and phones.
    User(UserId),
    /// A ring group.
    Ring(String),
    /// A mailbox.
    Voicemail(String),
    /// A menu.
    Menu(String),
    /// A built-in line.
    App(App),
    /// A number, through the outbound rules of the plan's owner.
    Number(DialString),
    /// Where the server of this `[webhook.NAME]` of the configuration says, within 3 s.
    Webhook(String),
    /// The end of the call.
    Hangup,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::User(user) => write!(f, "user:{user}"),
            Destination::Ring(name) => write!(f, "ring:{name}"),
            Destination::Voicemail(name) => write!(f, "voicemail:{name}"),
            Destination::Menu(name) => write!(f, "menu:{name}"),
            Destination::App(app) => write!(f, "app:{}", app.word()),
            Destination::Number(number) => write!(f, "number:{}", number.as_str()),
            Destination::Webhook(name) => write!(f, "webhook:{name}"),
            Destination::Hangup => f.write_str("hangup"),
        }
    }
}

impl Serialize for Destination {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A built-in test line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum App {
    /// Sends back what it hears.
    Echo,
    /// 1004 Hz at 0 dBm0.
    Milliwatt,
    /// Speaks the digits that were pressed.
    DtmfReadback,
}

impl App {
    /// Every line with its word in plans.
    pub const WORDS: &'static [(&'static str, App)] =
        &[("echo", App::Echo), ("milliwatt", App::Milliwatt), ("dtmf-readback", App::DtmfReadback)];

    /// The word in plans.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, app)| *app == self).map_or("", |(word, _)| word)
    }
}

/// Trunks to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// In the order of the rule, or cheapest first where the rule has rates.
    pub trunks: Vec<TrunkId>,
    /// How the first is chosen.
    pub spread: Spread,
}

/// How the first trunk of a route is chosen; the others follow as failover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// The first that can take the call.
    Ordered,
    /// The one with the smallest share of its channels in use.
    Balanced,
}

/// A rule of `[[outbound]]`. Every condition that is there must hold.
#[derive(Debug, Clone)]
pub struct OutboundRule {
    /// Its name, unique among the outbound rules.
    pub name: String,
    /// Where it is written.
    pub at: Place,
    pub(super) to: Option<Vec<Pattern>>,
    pub(super) region: Option<Choice<Region>>,
    pub(super) kind: Option<Choice<NumberType>>,
    pub(super) group: Option<Choice<String>>,
    pub(super) user: Option<Choice<UserId>>,
    pub(super) when: Option<String>,
    pub(super) action: Action,
}

/// A condition: one of a list, or the word `any`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<T> {
    /// Whatever it is.
    Any,
    /// One of these.
    OneOf(Vec<T>),
}

impl<T: PartialEq> Choice<T> {
    /// Whether `value` is meant.
    pub fn allows(&self, value: &T) -> bool {
        match self {
            Choice::Any => true,
            Choice::OneOf(list) => list.contains(value),
        }
    }

    /// Whether `value` is in the list by name; `any` names nothing.
    pub fn names(&self, value: &T) -> bool {
        matches!(self, Choice::OneOf(list) if list.contains(value))
    }
}

/// What an outbound rule does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Refuses, with these words.
    Deny(String),
    /// Sends the call out.
    Route {
        /// The trunks.
        route: Route,
        /// Prices that sort the route.
        rates: Option<Arc<Rates>>,
        /// Overrides the trunk's mode.
        dtmf: Option<DtmfMode>,
        /// The one codec of both sides, passed bit for bit.
        codec: Option<Law>,
        /// Overrides the plan's longest call.
        max_call: Option<Duration>,
        /// Overrides the caller's identity.
        caller_id: Option<String>,
        /// Whether the log names the digits that its calls send.
        digits: DigitLog,
        /// Whether the call is recorded.
        recording: Recording,
    },
}

/// A rule of `[[inbound]]`.
#[derive(Debug, Clone)]
pub struct InboundRule {
    /// Its name, unique among the inbound rules.
    pub name: String,
    /// Where it is written.
    pub at: Place,
    pub(super) did: Option<Vec<Pattern>>,
    pub(super) from: Option<Vec<Pattern>>,
    pub(super) trunk: Option<Choice<TrunkId>>,
    pub(super) when: Option<String>,
    pub(super) action: InboundAction,
}

/// What an inbound rule does.
#[derive(Debug, Clone)]
pub enum InboundAction {
    /// Refuses, with these words for the log.
    Deny(String),
    /// Tries these in order.
    Flow(Vec<Destination>, Recording),
}

/// A law of ITU-T G.711 that a page and a trunk speak with each other: what one says reaches the other bit
/// for bit, with the page's loss and jitter. For modems, fax and tests of menus; Opus bears loss better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// mu-law, North America and Japan.
    Pcmu,
    /// A-law, elsewhere.
    Pcma,
}

impl Law {
    /// Both with their words in a plan.
    pub const WORDS: &'static [(&'static str, Law)] = &[("pcmu", Law::Pcmu), ("pcma", Law::Pcma)];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Law::Pcmu => "pcmu",
            Law::Pcma => "pcma",
        }
    }
}

/// Whether the log names the digits that a rule's calls send. They are secrets: a PIN, a card's number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DigitLog {
    /// It says that there was one, and how it went.
    #[default]
    Masked,
    /// It names them, as the operator wants it of this rule.
    Named,
}

/// Whether a rule's calls are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recording {
    /// They are not.
    #[default]
    Off,
    /// They are, from the answer on.
    On,
}

/// A ring group of `[ring.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ring {
    /// Everybody in it; groups are spelled out.
    pub users: Vec<UserId>,
    /// Who rings when.
    pub strategy: RingStrategy,
    /// How long before the flow goes on; for `in-order`, how long each rings.
    #[serde(serialize_with = "as_ms", rename = "timeout_ms")]
    pub timeout: Duration,
}

/// Who of a ring group rings when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RingStrategy {
    /// All at once; the first to answer has the call.
    #[default]
    All,
    /// One after the other.
    InOrder,
    /// One after the other, the one longest without a call first.
    LongestIdle,
}

/// A mailbox of `[voicemail.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Voicemail {
    /// A sound file, relative to the plan.
    pub greeting: String,
    /// Longest message.
    #[serde(serialize_with = "as_ms", rename = "max_ms")]
    pub max: Duration,
    /// Whose pages are told of messages; groups are spelled out.
    pub notify: Vec<UserId>,
}

/// A menu of `[menu.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Menu {
    /// A sound file, relative to the plan.
    pub prompt: String,
    /// Whether a key stops the prompt.
    pub barge_in: bool,
    /// Longest wait for the first key after the prompt.
    #[serde(serialize_with = "as_ms", rename = "first_digit_ms")]
    pub first_digit: Duration,
    /// Longest wait for each further key.
    #[serde(serialize_with = "as_ms", rename = "next_digit_ms")]
    pub next_digit: Duration,
    /// How often a wrong or missing key is forgiven.
    pub retries: u32,
    /// A sound file for a wrong key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
    /// A sound file for the way to `on_fail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The key that ends what is collected; it is no part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminator: Option<char>,
    /// As many keys are collected before they are looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_digits: Option<usize>,
    /// Where the call goes after the last retry.
    pub on_fail: Destination,
    /// Keys to destinations.
    pub press: BTreeMap<String, Destination>,
}

fn as_ms<S: serde::Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
}
