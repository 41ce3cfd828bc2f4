//! Rules that can never match because one earlier rule takes everything they would.
//!
//! Exact for one rule against one rule, condition by condition: digits by their sets, regions,
//! types and users as sets, schedules by the minute of the week. Where two conditions hang together
//! in the real world (`+49` and region DE) nothing is claimed, so what is reported is never wrong.
//!
//! Whether some patterns together take what another does is a question of exponential size at worst,
//! so the analysis has a bounded effort; beyond it nothing more is claimed.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::index::{Index, Members};
use super::number::{NumberType, Region};
use super::pattern::Pattern;
use super::plan::{Action, Choice, Group, InboundRule, OutboundRule};
use super::schedule::{Schedule, Week};
use crate::base::{Place, UserId};

/// A rule that can never match.
pub(super) struct Shadow {
    pub at: Place,
    pub message: String,
}

/// What the analysis of one plan may still cost.
#[derive(Debug)]
pub(super) struct Effort(Cell<u32>);

impl Effort {
    pub(super) fn new() -> Effort {
        Effort(Cell::new(MOST_STEPS))
    }

    /// Whether something was not looked at.
    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    /// Takes `steps`; `false` where there is not that much left, and then there is nothing left.
    pub(super) fn spend(&self, steps: usize) -> bool {
        let left = u32::try_from(steps).ok().and_then(|steps| self.0.get().checked_sub(steps));
        self.0.set(left.unwrap_or(0));
        left.is_some_and(|left| left > 0)
    }
}

/// The outbound rules that can never match; without `groups` nothing is said of rules that have one.
pub(super) fn outbound(
    rules: &[OutboundRule],
    index: &Index,
    groups: Option<(&Vec<(String, Group)>, &Members)>,
    schedules: &BTreeMap<String, Schedule>,
    effort: &Effort,
) -> Vec<Shadow> {
    let weeks = Weeks::of(schedules);
    let known = |rule: &OutboundRule| groups.is_some() || rule.group.is_none();
    let (groups, members) = match groups {
        Some((groups, members)) => (groups.as_slice(), members.clone()),
        None => (&[][..], Members::default()),
    };
    let sets: HashMap<&str, Rc<BTreeSet<&UserId>>> =
        groups.iter().map(|(name, g)| (name.as_str(), Rc::new(g.users.iter().collect()))).collect();
    let reaches: Vec<Reach<'_>> =
        rules.iter().map(|rule| Reach::of(rule, &sets, &members, effort)).collect();
    let mut found = Vec::new();
    for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| known(rule)) {
        let reach = &reaches[number];
        if effort.is_spent() {
            break;
        }
        if reach.users.as_ref().is_some_and(|users| users.is_empty()) {
            let message = format!(
                "rule {:?} can never match: nobody is in its `group` and `user`",
                rule.name
            );
            found.push(Shadow { at: rule.at.clone(), message });
            continue;
        }
        if reach.is_empty() {
            let message = format!(
                "rule {:?} can never match: a `to` without + is no number, so `region` and `type` \
                 cannot hold",
                rule.name
            );
            found.push(Shadow { at: rule.at.clone(), message });
            continue;
        }
        // A rule that takes all that this one would takes this one request too, so the index has it.
        let text = reach.witness();
        let user = reach.users.as_ref().and_then(|users| users.first().copied());
        let groups = user.map_or(&[][..], |user| members.of_user(user));
        let region = match &reach.regions {
            Regions::OneOf(regions) => regions.first().copied(),
            Regions::All | Regions::AllButWorld => None,
        };
        let mut earlier = index.candidates(user, groups, &text, region).take_while(|i| *i < number);
        let earlier = earlier.find(|earlier| {
            known(&rules[*earlier])
                && effort.spend(1)
                && reaches[*earlier].covers(reach, effort)
                && weeks.cover(rules[*earlier].when.as_deref(), rule.when.as_deref(), effort)
        });
        if let Some(earlier) = earlier {
            found.push(shadow(&rule.name, &rule.at, &rules[earlier].name, &rules[earlier].at));
        }
    }
    found
}

/// The inbound rules that can never match.
pub(super) fn inbound(
    rules: &[InboundRule],
    index: &Index,
    schedules: &BTreeMap<String, Schedule>,
    effort: &Effort,
) -> Vec<Shadow> {
    let weeks = Weeks::of(schedules);
    let covers = |a: &InboundRule, b: &InboundRule| {
        effort.spend(1)
            && patterns_cover(a.did.as_deref(), b.did.as_deref(), effort)
            && patterns_cover(a.from.as_deref(), b.from.as_deref(), effort)
            && match (&a.trunk, &b.trunk) {
                (None | Some(Choice::Any), _) => true,
                (Some(Choice::OneOf(own)), Some(Choice::OneOf(theirs))) => {
                    theirs.iter().all(|trunk| own.contains(trunk))
                }
                _ => false,
            }
            && weeks.cover(a.when.as_deref(), b.when.as_deref(), effort)
    };
    let mut found = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let sample =
            |patterns: &Option<Vec<Pattern>>| patterns.iter().flatten().next().map(Pattern::sample);
        let (did, from) = (sample(&rule.did).unwrap_or_default(), sample(&rule.from));
        let earlier = index.inbound(from.as_deref(), &did).take_while(|i| *i < number);
        if let Some(earlier) = earlier.map(|i| &rules[i]).find(|earlier| covers(earlier, rule)) {
            found.push(shadow(&rule.name, &rule.at, &earlier.name, &earlier.at));
        }
    }
    found
}

fn shadow(name: &str, at: &Place, earlier: &str, earlier_at: &Place) -> Shadow {
    let message = format!(
        "rule {name:?} can never match: {earlier:?} in line {} takes everything it would",
        earlier_at.line
    );
    Shadow { at: at.clone(), message }
}

/// What an outbound rule reaches, apart from its hours.
#[derive(Debug)]
struct Reach<'a> {
    /// Short codes, by pattern.
    short: Vec<Pattern>,
    /// Numbers by pattern; `None` is all.
    numbers: Option<Vec<Pattern>>,
    kinds: BTreeSet<NumberType>,
    regions: Regions,
    /// `None` is everybody and the plan's owner.
    users: Option<Rc<BTreeSet<&'a UserId>>>,
}

#[derive(Debug, PartialEq)]
enum Regions {
    All,
    AllButWorld,
    OneOf(BTreeSet<Region>),
}

impl<'a> Reach<'a> {
    fn of(
        rule: &'a OutboundRule,
        groups: &HashMap<&str, Rc<BTreeSet<&'a UserId>>>,
        members: &Members,
        effort: &Effort,
    ) -> Reach<'a> {
        let denies = matches!(rule.action, Action::Deny(_));
        let of_numbers = rule.region.is_some() || rule.kind.is_some();
        let (short, numbers) = match &rule.to {
            None => (Vec::new(), None),
            Some(patterns) => {
                let (numbers, short): (Vec<_>, Vec<_>) =
                    patterns.iter().cloned().partition(Pattern::is_international);
                (if of_numbers { Vec::new() } else { short }, Some(numbers))
            }
        };
        let kinds = match &rule.kind {
            Some(Choice::OneOf(kinds)) => kinds.iter().copied().collect(),
            _ => NumberType::WORDS
                .iter()
                .map(|(_, kind)| *kind)
                .filter(|kind| denies || !kind.must_be_named())
                .collect(),
        };
        let regions = match &rule.region {
            Some(Choice::OneOf(regions)) => Regions::OneOf(regions.iter().copied().collect()),
            _ if denies => Regions::All,
            _ => Regions::AllButWorld,
        };
        let group = match &rule.group {
            Some(Choice::OneOf(names)) => Some(names.as_slice()),
            _ => None,
        };
        let users = match (&rule.user, group) {
            (Some(Choice::OneOf(users)), group) => {
                let is_in = |user: &&UserId| group.is_none_or(|names| members.is_in(user, names));
                Some(Rc::new(users.iter().filter(is_in).collect()))
            }
            // Rules of one group share its users.
            (_, Some([name])) => Some(groups.get(name.as_str()).cloned().unwrap_or_default()),
            (_, Some(names)) => {
                let sets = || names.iter().filter_map(|name| groups.get(name.as_str()));
                // Where it costs too much, nothing is said of any rule after this.
                match effort.spend(sets().map(|set| set.len()).sum()) {
                    true => Some(Rc::new(sets().flat_map(|set| set.iter().copied()).collect())),
                    false => None,
                }
            }
            (_, None) => None,
        };
        Reach { short, numbers, kinds, regions, users }
    }

    /// A value that the rule takes; empty where it takes all.
    fn witness(&self) -> String {
        let patterns = self.short.iter().chain(self.numbers.iter().flatten());
        patterns.map(Pattern::sample).next().unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.short.is_empty() && self.numbers.as_ref().is_some_and(Vec::is_empty)
    }

    fn covers(&self, other: &Reach<'_>, effort: &Effort) -> bool {
        let users = match (&self.users, &other.users) {
            (None, _) => true,
            (Some(own), Some(theirs)) if Rc::ptr_eq(own, theirs) => true,
            (Some(own), Some(theirs)) => {
                theirs.len() <= own.len() && effort.spend(theirs.len()) && theirs.is_subset(own)
            }
            (Some(_), None) => false,
        };
        if !users || !other.short.iter().all(|b| union_covers(&self.short, b, effort)) {
            return false;
        }
        if other.numbers.as_ref().is_some_and(Vec::is_empty) {
            return true;
        }
        other.kinds.is_subset(&self.kinds)
            && match (&self.regions, &other.regions) {
                (Regions::All, _) | (Regions::AllButWorld, Regions::AllButWorld) => true,
                (Regions::AllButWorld, Regions::OneOf(theirs)) => !theirs.contains(&Region::WORLD),
                (Regions::OneOf(own), Regions::OneOf(theirs)) => theirs.is_subset(own),
                _ => false,
            }
            && patterns_cover(self.numbers.as_deref(), other.numbers.as_deref(), effort)
    }
}

fn patterns_cover(own: Option<&[Pattern]>, theirs: Option<&[Pattern]>, effort: &Effort) -> bool {
    match (own, theirs) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(own), Some(theirs)) => theirs.iter().all(|b| union_covers(own, b, effort)),
    }
}

/// The schedules with their weeks.
struct Weeks<'a>(BTreeMap<&'a str, (&'a Schedule, Week)>);

impl<'a> Weeks<'a> {
    fn of(all: &'a BTreeMap<String, Schedule>) -> Weeks<'a> {
        Weeks(all.iter().map(|(name, one)| (name.as_str(), (one, one.week()))).collect())
    }

    fn cover(&self, own: Option<&str>, theirs: Option<&str>, effort: &Effort) -> bool {
        match (own, theirs) {
            (None, _) => true,
            (Some(own), Some(theirs)) if own == theirs => true,
            (Some(own), Some(theirs)) => match (self.0.get(own), self.0.get(theirs)) {
                (Some((own, week)), Some((theirs, their_week))) => {
                    let days = own.closed.len() * (theirs.closed.len() + 1);
                    effort.spend(WEEK_STEPS + days) && own.covers_in(week, theirs, their_week)
                }
                _ => false,
            },
            (Some(_), None) => false,
        }
    }
}

/// Whether every value of `b` matches one of `patterns`, exactly: walks the values of `b` one
/// character at a time and keeps who still matches. `false` too where the effort does not suffice.
pub(super) fn union_covers(patterns: &[Pattern], b: &Pattern, effort: &Effort) -> bool {
    if !effort.spend(patterns.len()) {
        return false;
    }
    if patterns.iter().any(|a| a.covers(b)) {
        return true;
    }
    let alive: Vec<usize> = (0..patterns.len()).filter(|i| patterns[*i].overlaps(b)).collect();
    alive.len() > 1 && walk(patterns, b, 0, alive, &mut HashMap::new(), effort)
}

fn walk(
    patterns: &[Pattern],
    b: &Pattern,
    position: usize,
    alive: Vec<usize>,
    seen: &mut HashMap<(usize, Vec<usize>), bool>,
    effort: &Effort,
) -> bool {
    if alive.is_empty() {
        return false;
    }
    // Past the sets of all of them nothing changes any more.
    let end = alive.iter().map(|i| patterns[*i].len()).max().unwrap_or(0).max(b.len()) + 1;
    if b.ends_at(position) && !alive.iter().any(|i| patterns[*i].ends_at(position)) {
        return false;
    }
    let set = b.set(position);
    if set == 0 || position >= end {
        return true;
    }
    let key = (position, alive.clone());
    if let Some(known) = seen.get(&key) {
        return *known;
    }
    // A state costs a look at each pattern and a place in memory.
    if !effort.spend(STATE_STEPS + alive.len()) {
        return false;
    }
    let mut left = set;
    let mut all = true;
    while left != 0 && all {
        // All characters that are in the same of the alive sets behave alike.
        let one = left & left.wrapping_neg();
        let next: Vec<usize> =
            alive.iter().copied().filter(|i| patterns[*i].set(position) & one != 0).collect();
        let alike = alive.iter().fold(left, |alike, i| {
            let own = patterns[*i].set(position);
            alike & if own & one != 0 { own } else { !own }
        });
        left &= !alike;
        all = walk(patterns, b, position + 1, next, seen, effort);
    }
    seen.insert(key, all);
    all
}

/// A second or two of one core; a plan of 10,000 rules takes a hundredth of it.
const MOST_STEPS: u32 = 5_000_000;

/// What comparing two weeks costs.
const WEEK_STEPS: usize = 50;

/// What a state costs apart from its patterns: at most 25,000 of them for a plan.
const STATE_STEPS: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every value of up to five characters over an alphabet with a witness for each set.
    fn values() -> Vec<String> {
        let mut all = Vec::new();
        let mut last = vec![String::new()];
        for _ in 0..5 {
            last =
                last.iter().flat_map(|v| "01289".chars().map(move |c| format!("{v}{c}"))).collect();
            all.extend(last.clone());
        }
        all
    }

    proptest! {
        // X and [0-9] have the witness 9, [0-2] and [128] are told apart by 0, 2 and 8, so five
        // characters decide what ten would; patterns of up to 3 sets decide within length 5.
        #[test]
        fn can_never_match_agrees_with_brute_force(
            own in proptest::collection::vec("([012X]|N|Z|\\[0-2\\]|\\[128\\]){1,3}\\.?", 1..5),
            b in "([012X]|N|Z|\\[0-2\\]|\\[128\\]){1,3}\\.?",
        ) {
            let own: Vec<Pattern> = own.iter().map(|p| p.parse().unwrap()).collect();
            let b: Pattern = b.parse().unwrap();
            let brute =
                values().iter().all(|v| !b.matches(v) || own.iter().any(|a| a.matches(v)));
            prop_assert_eq!(union_covers(&own, &b, &Effort::new()), brute, "{:?} over {:?}", own, b);
        }
    }

    #[test]
    fn a_union_covers_what_no_single_pattern_does() {
        let parse =
            |list: &[&str]| -> Vec<Pattern> { list.iter().map(|p| p.parse().unwrap()).collect() };
        let x: Pattern = "6X".parse().unwrap();
        let effort = Effort::new();
        assert!(union_covers(&parse(&["6[0-4]", "6[5-9]"]), &x, &effort));
        assert!(!union_covers(&parse(&["6[0-4]", "6[6-9]"]), &x, &effort));
        assert!(union_covers(&parse(&["60.", "6Z.", "6X"]), &"6XX".parse().unwrap(), &effort));
    }

    #[test]
    fn patterns_that_overlap_in_every_way_are_given_up_and_not_claimed() {
        // Every subset of the first 21 can still match after 21 characters.
        let one = |at: usize| format!("{}1{}", "X".repeat(at), "X".repeat(30 - at));
        let mut own: Vec<Pattern> = (0..21).map(|at| one(at).parse().unwrap()).collect();
        own.push(format!("[0-4]{}", "X".repeat(30)).parse().unwrap());
        own.push(format!("[5-9]{}", "X".repeat(30)).parse().unwrap());
        let effort = Effort::new();
        assert!(!union_covers(&own, &"X".repeat(31).parse().unwrap(), &effort));
        assert!(effort.is_spent());
    }
}
