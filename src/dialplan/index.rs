//! Which rules can match at all, so that a plan of ten thousand rules decides as fast as one of ten.
//!
//! Each rule is filed under its most telling condition: its users, else the fixed first digits of
//! its patterns, else its regions, else nothing. A request asks only the rules filed under what it
//! has, in file order. The index leaves out only rules that cannot match; it decides nothing.

use std::collections::HashMap;

use super::number::Region;
use super::pattern::Pattern;
use super::plan::{Choice, InboundRule, OutboundRule};
use crate::base::UserId;

/// Rules by what they ask for; each list is in file order.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    by_user: HashMap<UserId, Vec<u32>>,
    by_prefix: HashMap<String, Vec<u32>>,
    by_region: HashMap<Region, Vec<u32>>,
    rest: Vec<u32>,
    longest: usize,
}

impl Index {
    /// Files outbound rules.
    pub fn of_outbound(rules: &[OutboundRule]) -> Index {
        let mut index = Index::default();
        for (rule, number) in rules.iter().zip(0u32..) {
            match (&rule.user, &rule.to, &rule.region) {
                (Some(Choice::OneOf(users)), _, _) => {
                    users.iter().for_each(|user| file(&mut index.by_user, user.clone(), number));
                }
                (_, Some(patterns), _) => index.file_patterns(patterns, number),
                (_, None, Some(Choice::OneOf(regions))) => {
                    regions.iter().for_each(|region| file(&mut index.by_region, *region, number));
                }
                _ => index.rest.push(number),
            }
        }
        index
    }

    /// Files inbound rules.
    pub fn of_inbound(rules: &[InboundRule]) -> Index {
        let mut index = Index::default();
        for (rule, number) in rules.iter().zip(0u32..) {
            match &rule.did {
                Some(patterns) => index.file_patterns(patterns, number),
                None => index.rest.push(number),
            }
        }
        index
    }

    /// The rules that may match a request, in file order, each once.
    pub fn candidates<'a>(
        &'a self,
        user: Option<&UserId>,
        text: &str,
        region: Option<Region>,
    ) -> Candidates<'a> {
        let prefixes = (0..=self.longest.min(text.len())).filter_map(|len| text.get(..len));
        let lists = prefixes
            .filter_map(|prefix| self.by_prefix.get(prefix))
            .chain(user.and_then(|user| self.by_user.get(user)))
            .chain(region.and_then(|region| self.by_region.get(&region)))
            .chain([&self.rest])
            .map(Vec::as_slice)
            .filter(|list| !list.is_empty());
        Candidates { lists: lists.collect() }
    }

    fn file_patterns(&mut self, patterns: &[Pattern], number: u32) {
        for pattern in patterns {
            let prefix = pattern.fixed_prefix();
            self.longest = self.longest.max(prefix.len());
            file(&mut self.by_prefix, prefix, number);
        }
    }
}

fn file<K: std::hash::Hash + Eq>(lists: &mut HashMap<K, Vec<u32>>, key: K, number: u32) {
    let list = lists.entry(key).or_default();
    if list.last() != Some(&number) {
        list.push(number);
    }
}

/// Merges sorted lists.
pub(super) struct Candidates<'a> {
    lists: Vec<&'a [u32]>,
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let least = *self.lists.iter().filter_map(|list| list.first()).min()?;
        for list in &mut self.lists {
            if list.first() == Some(&least) {
                *list = &list[1..];
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
    fn ten_thousand_rules_are_not_asked_one_by_one() {
        let plan = plan(10_000);
        let alice = "alice".parse().unwrap();
        let asked = |text: &str| {
            let region = "DE".parse().ok();
            plan.outbound_index.candidates(Some(&alice), text, region).count()
        };
        // Its own prefix, alice's, the region's, the rest.
        assert_eq!(asked("+493000007123"), 4);
        assert_eq!(asked("+18765551234"), 3);
        let decision = plan.evaluate_outbound(&request("bob", "+493009999123"));
        assert_eq!(decision.rule(), Some("r9999"));
    }
}
