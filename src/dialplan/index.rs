//! Which rules can match at all, so that a plan of ten thousand rules decides as fast as one of ten.
//!
//! Each rule is filed under one of its conditions: its users, its groups, its patterns or its
//! regions, whichever the fewest rules share. A request asks only the rules filed under what it has,
//! in file order. The index leaves out only rules that cannot match; it decides nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

use super::number::Region;
use super::pattern::{Pattern, Tree};
use super::plan::{Choice, Group, InboundRule, OutboundRule};
use crate::base::UserId;

/// Who is in which groups: made once, so that no decision walks through lists of users.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    /// Indices of groups, in the order of the file.
    by_user: HashMap<UserId, Vec<u32>>,
    by_name: HashMap<String, u32>,
}

impl Members {
    pub fn of(groups: &[(String, Group)]) -> Members {
        let mut members = Members::default();
        for ((name, group), index) in groups.iter().zip(0u32..) {
            members.by_name.insert(name.clone(), index);
            group.users.iter().for_each(|user| file(&mut members.by_user, user, index));
        }
        members
    }

    /// The groups that a user is in, as indices in the order of the file.
    pub fn of_user(&self, user: &UserId) -> &[u32] {
        self.by_user.get(user).map_or(&[], Vec::as_slice)
    }

    /// The index of a group.
    pub fn group(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Whether a user is in one of these groups.
    pub fn is_in(&self, user: &UserId, groups: &[String]) -> bool {
        let own = self.of_user(user);
        let is_own = |index: u32| own.binary_search(&index).is_ok();
        !own.is_empty() && groups.iter().any(|name| self.group(name).is_some_and(is_own))
    }
}

/// Rules by what they ask for; each list is in file order.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    by_user: HashMap<UserId, Vec<u32>>,
    by_group: HashMap<u32, Vec<u32>>,
    by_region: HashMap<Region, Vec<u32>>,
    by_pattern: Tree,
    /// Inbound rules by the number that calls.
    by_from: Tree,
    /// Every `to` of an outbound rule that is for short codes.
    codes: Tree,
    rest: Vec<u32>,
}

/// How many rules have a condition in common.
#[derive(Default)]
struct Shared<'a> {
    users: HashMap<&'a UserId, u32>,
    groups: HashMap<&'a str, u32>,
    patterns: HashMap<&'a str, u32>,
    regions: HashMap<Region, u32>,
}

impl<'a> Shared<'a> {
    fn of(rules: &'a [OutboundRule]) -> Shared<'a> {
        let mut all = Shared::default();
        for rule in rules {
            let Parts { users, groups, patterns, regions } = Parts::of(rule);
            users.unwrap_or_default().iter().for_each(|u| *all.users.entry(u).or_default() += 1);
            let groups = groups.unwrap_or_default().iter().map(String::as_str);
            groups.for_each(|name| *all.groups.entry(name).or_default() += 1);
            let patterns = patterns.unwrap_or_default().iter().map(Pattern::as_str);
            patterns.for_each(|text| *all.patterns.entry(text).or_default() += 1);
            let regions = regions.unwrap_or_default().iter();
            regions.for_each(|region| *all.regions.entry(*region).or_default() += 1);
        }
        all
    }
}

/// The conditions of a rule that name something.
struct Parts<'a> {
    users: Option<&'a [UserId]>,
    groups: Option<&'a [String]>,
    patterns: Option<&'a [Pattern]>,
    regions: Option<&'a [Region]>,
}

impl<'a> Parts<'a> {
    fn of(rule: &'a OutboundRule) -> Parts<'a> {
        fn named<T>(choice: Option<&Choice<T>>) -> Option<&[T]> {
            match choice {
                Some(Choice::OneOf(list)) => Some(list),
                _ => None,
            }
        }
        Parts {
            users: named(rule.user.as_ref()),
            groups: named(rule.group.as_ref()),
            patterns: rule.to.as_deref(),
            regions: named(rule.region.as_ref()),
        }
    }
}

/// What a rule is filed under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Users,
    Patterns,
    Groups,
    Regions,
}

impl Index {
    /// Files outbound rules.
    pub fn of_outbound(rules: &[OutboundRule], members: &Members) -> Index {
        let shared = Shared::of(rules);
        let mut index = Index::default();
        for (rule, number) in rules.iter().zip(0u32..) {
            let Parts { users, groups, patterns, regions } = Parts::of(rule);
            for pattern in patterns.unwrap_or_default() {
                if !pattern.is_international() {
                    index.codes.add(pattern, number);
                }
            }
            let most = |counts: Vec<Option<&u32>>| counts.into_iter().flatten().max().copied();
            let keys = [
                users.map(|l| (most(l.iter().map(|u| shared.users.get(u)).collect()), Key::Users)),
                patterns.map(|l| {
                    let counts = l.iter().map(|p| shared.patterns.get(p.as_str()));
                    (most(counts.collect()), Key::Patterns)
                }),
                groups.map(|l| {
                    let counts = l.iter().map(|name| shared.groups.get(name.as_str()));
                    (most(counts.collect()), Key::Groups)
                }),
                regions.map(|l| {
                    let counts = l.iter().map(|region| shared.regions.get(region));
                    (most(counts.collect()), Key::Regions)
                }),
            ];
            match keys.into_iter().flatten().min().map(|(_, key)| key) {
                Some(Key::Users) => {
                    let users = users.unwrap_or_default().iter();
                    users.for_each(|user| file(&mut index.by_user, user, number));
                }
                Some(Key::Patterns) => {
                    let patterns = patterns.unwrap_or_default().iter();
                    patterns.for_each(|pattern| index.by_pattern.add(pattern, number));
                }
                Some(Key::Groups) => {
                    let groups = groups.unwrap_or_default().iter();
                    groups
                        .filter_map(|name| members.group(name))
                        .for_each(|group| file(&mut index.by_group, &group, number));
                }
                Some(Key::Regions) => {
                    let regions = regions.unwrap_or_default().iter();
                    regions.for_each(|region| file(&mut index.by_region, region, number));
                }
                None => index.rest.push(number),
            }
        }
        index
    }

    /// Files inbound rules under the numbers called or those that call, whichever fewer rules share.
    pub fn of_inbound(rules: &[InboundRule]) -> Index {
        let count = |patterns: fn(&InboundRule) -> Option<&[Pattern]>| {
            let mut shared: HashMap<&str, u32> = HashMap::new();
            let all = rules.iter().filter_map(patterns).flatten();
            all.for_each(|pattern| *shared.entry(pattern.as_str()).or_default() += 1);
            shared
        };
        let (dids, callers) = (count(|r| r.did.as_deref()), count(|r| r.from.as_deref()));
        let most = |patterns: Option<&[Pattern]>, shared: &HashMap<&str, u32>| {
            let counts = patterns?.iter().filter_map(|p| shared.get(p.as_str()).copied());
            Some(counts.max().unwrap_or(0))
        };
        let mut index = Index::default();
        for (rule, number) in rules.iter().zip(0u32..) {
            let did = most(rule.did.as_deref(), &dids);
            let from = most(rule.from.as_deref(), &callers);
            let by_from = from.is_some_and(|from| did.is_none_or(|did| from < did));
            let (patterns, tree) = match by_from {
                true => (&rule.from, &mut index.by_from),
                false => (&rule.did, &mut index.by_pattern),
            };
            match patterns {
                Some(patterns) => patterns.iter().for_each(|p| tree.add(p, number)),
                None => index.rest.push(number),
            }
        }
        index
    }

    /// The inbound rules that may match a call from one number to another, as [`Index::candidates`].
    pub fn inbound<'a>(&'a self, from: Option<&str>, did: &str) -> Candidates<'a> {
        let callers = from.map(|from| self.by_from.matches(from)).unwrap_or_default().into_iter();
        let lists = self.by_pattern.matches(did).into_iter().chain(callers);
        merged(lists.chain([self.rest.as_slice()]))
    }

    /// Whether some outbound rule has a `to` for this short code.
    pub fn knows_code(&self, code: &str) -> bool {
        !self.codes.matches(code).is_empty()
    }

    /// The rules that may match a request, in file order, each once. `groups` are those of the user.
    pub fn candidates<'a>(
        &'a self,
        user: Option<&UserId>,
        groups: &[u32],
        text: &str,
        region: Option<Region>,
    ) -> Candidates<'a> {
        let lists = self.by_pattern.matches(text).into_iter();
        let lists = lists
            .chain(user.and_then(|user| self.by_user.get(user)).map(Vec::as_slice))
            .chain(groups.iter().filter_map(|g| self.by_group.get(g)).map(Vec::as_slice))
            .chain(region.and_then(|region| self.by_region.get(&region)).map(Vec::as_slice))
            .chain([self.rest.as_slice()]);
        merged(lists)
    }
}

fn merged<'a>(lists: impl Iterator<Item = &'a [u32]>) -> Candidates<'a> {
    let lists = lists.filter_map(|list| Some((Reverse(*list.first()?), list)));
    Candidates { lists: lists.collect() }
}

fn file<K: Hash + Eq + Clone>(lists: &mut HashMap<K, Vec<u32>>, key: &K, number: u32) {
    match lists.get_mut(key) {
        Some(list) if list.last() == Some(&number) => {}
        Some(list) => list.push(number),
        None => {
            lists.insert(key.clone(), vec![number]);
        }
    }
}

/// Merges sorted lists.
pub(super) struct Candidates<'a> {
    /// By their first.
    lists: BinaryHeap<(Reverse<u32>, &'a [u32])>,
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let (Reverse(least), _) = *self.lists.peek()?;
        while let Some(mut first) = self.lists.peek_mut().filter(|first| first.0.0 == least) {
            let rest = &first.1[1..];
            match rest.first() {
                Some(next) => *first = (Reverse(*next), rest),
                None => {
                    std::collections::binary_heap::PeekMut::pop(first);
                }
            }
        }
        usize::try_from(least).ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::dialplan::{Known, NoFiles, OutboundRequest, Outcome, Plan, load};

    /// A plan with a rule for each of `count` prefixes, and some of every other kind.
    fn plan(count: usize) -> Plan {
        let mut text = String::from(
            "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
             timezone = \"UTC\"\ncaller_id = \"c\"\n[caller_id.c]\nnumber = \"+4930123456\"\n\
             [[outbound]]\nname = \"short\"\nto = \"6XX\"\nroute = \"t\"\n\
             [[outbound]]\nname = \"mine\"\nuser = \"alice\"\nto = \"+49301.\"\nroute = \"t\"\n",
        );
        for n in 0..count {
            text += &format!(
                "[[outbound]]\nname = \"r{n}\"\nto = \"+4930{n:05}X.\"\nroute = \"t{}\"\n",
                n % 7
            );
        }
        text += "[[outbound]]\nname = \"land\"\nregion = [\"DE\", \"FR\"]\nroute = \"t\"\n\
                 [[outbound]]\nname = \"mobile\"\ntype = \"mobile\"\nroute = \"t\"\n";
        load(&text, "p", &Known::default(), &NoFiles).unwrap()
    }

    fn request(user: &str, dialled: &str) -> OutboundRequest {
        OutboundRequest {
            user: user.parse().unwrap(),
            country: None,
            dialled: dialled.to_owned(),
            caller_id: None,
            at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_index_leaves_out_only_rules_that_cannot_match() {
        let plan = plan(100);
        for user in ["alice", "bob"] {
            for dialled in [
                "600",
                "700",
                "+49301234567",
                "+493000007123",
                "+493000007",
                "+493000099555",
                "+33123456789",
                "+436641234567",
                "+18765551234",
                "+882990001234",
                "030 5555555",
            ] {
                let decision = plan.evaluate_outbound(&request(user, dialled));
                // The trace asks every rule; it must come to the same one.
                let trace = plan.explain(&decision);
                let matched: Vec<&String> =
                    trace.iter().filter(|line| line.starts_with("match ")).collect();
                let expected = match &decision.outcome {
                    Outcome::Dial(_) => vec![format!("match {:?}", decision.rule().unwrap())],
                    _ => Vec::new(),
                };
                assert_eq!(matched, expected.iter().collect::<Vec<_>>(), "{user} {dialled}");
            }
        }
    }

    #[test]
    fn ten_thousand_callers_are_not_asked_one_by_one() {
        let mut text = String::from(
            "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
             timezone = \"UTC\"\n",
        );
        for n in 0..10_000 {
            text += &format!(
                "[[inbound]]\nname = \"{n}\"\ndid = \"any\"\nfrom = \"+4930{n:05}\"\ndeny = \"no\"\n"
            );
        }
        text += "[[inbound]]\nname = \"rest\"\ndid = \"any\"\nflow = [\"user:a\"]\n";
        let plan = load(&text, "p", &Known::default(), &NoFiles).unwrap();
        let asked = |from: &str| plan.inbound_index.inbound(Some(from), "+493012345670");
        assert_eq!(asked("+493001234").collect::<Vec<_>>(), [1_234, 10_000]);
        assert_eq!(asked("+4940123").collect::<Vec<_>>(), [10_000]);
        assert_eq!(plan.inbound_index.inbound(None, "+493012345670").count(), 1);
    }

    #[test]
    fn ten_thousand_rules_are_not_asked_one_by_one() {
        let plan = plan(10_000);
        let alice = "alice".parse().unwrap();
        let asked = |text: &str| {
            let region = "DE".parse().ok();
            plan.outbound_index.candidates(Some(&alice), &[], text, region).count()
        };
        // Its own prefix, alice's, the region's, the rest.
        assert_eq!(asked("+493000007123"), 4);
        assert_eq!(asked("+18765551234"), 3);
        let decision = plan.evaluate_outbound(&request("bob", "+493009999123"));
        assert_eq!(decision.rule(), Some("r9999"));
    }

    #[test]
    fn a_group_of_many_is_found_without_a_look_at_the_others() {
        let mut text = String::from(
            "version = 1\nemergency = \"not-provided\"\n[defaults]\ncountry = \"DE\"\n\
             timezone = \"UTC\"\ncaller_id = \"c\"\n[caller_id.c]\nnumber = \"+4930123456\"\n",
        );
        for n in 0..500 {
            text += &format!(
                "[group.g{n}]\nusers = [\"u{n}\", \"both\"]\n[[outbound]]\nname = \"r{n}\"\n\
                 group = \"g{n}\"\nto = \"+49.\"\nregion = \"DE\"\nroute = \"t\"\n"
            );
        }
        let plan = load(&text, "p", &Known::default(), &NoFiles).unwrap();
        let region = "DE".parse().ok();
        let asked = |user: &str| {
            let user = user.parse().unwrap();
            let groups = plan.members.of_user(&user);
            plan.outbound_index.candidates(Some(&user), groups, "+49301234567", region).count()
        };
        assert_eq!((asked("u499"), asked("nobody"), asked("both")), (1, 0, 500));
        let rule = |user: &str| {
            let decision = plan.evaluate_outbound(&request(user, "+49301234567"));
            decision.rule().map(str::to_owned)
        };
        assert_eq!(rule("u499").as_deref(), Some("r499"));
        assert_eq!(rule("both").as_deref(), Some("r0"));
        assert_eq!(rule("nobody"), None);
    }
}
