//! Rules that no call can reach, whatever the other rules are: their codes are taken before any rule
//! is asked, their patterns are no numbers, their patterns and countries contradict each other.
//!
//! What is called unreachable here is so for every call; where only a part of a pattern is a trap, the
//! finding is a warning.

use std::collections::BTreeSet;

use crate::base::{DialString, Findings, Place};
use crate::dialplan::emergency;
use crate::dialplan::number::{Number, Region};
use crate::dialplan::pattern::Pattern;
use crate::dialplan::plan::{Choice, Emergency, InboundRule, OutboundRule, Plan};
use crate::dialplan::shadow::Effort;

/// Looks at each rule by itself.
pub(super) fn rules(plan: &Plan, effort: &Effort, findings: &Findings) {
    let users = plan.users.iter().flat_map(|users| users.values().flatten().copied());
    let tests = plan.tests.iter().filter_map(|test| test.country());
    let countries: BTreeSet<Region> = users.chain(tests).chain([plan.country]).collect();
    let asked = Asked { plan, countries: countries.into_iter().collect(), effort };
    for rule in &plan.outbound {
        asked.outbound(rule).report("to", &rule.name, &rule.at, findings);
    }
    for rule in &plan.inbound {
        asked.inbound(rule).report("did", &rule.name, &rule.at, findings);
    }
}

/// What is wrong with the patterns of a rule.
#[derive(Default)]
struct Faults {
    patterns: usize,
    never: Vec<String>,
    partly: Vec<String>,
}

impl Faults {
    fn report(self, key: &str, name: &str, at: &Place, findings: &Findings) {
        if self.patterns > 0 && self.never.len() == self.patterns {
            let why = self.never.join("; ");
            findings.error(at, format!("rule {name:?} can never match: {why}"));
            return;
        }
        for why in self.never {
            findings.warn(at, format!("rule {name:?}: a part of `{key}` matches nothing: {why}"));
        }
        for why in self.partly {
            findings.warn(at, format!("rule {name:?}: {why}"));
        }
    }
}

/// What a value is before any rule is asked.
enum Taken {
    No,
    /// In these words.
    Code(String),
    /// A number in full: rules see it as this.
    Number(String),
}

struct Asked<'a> {
    plan: &'a Plan,
    countries: Vec<Region>,
    effort: &'a Effort,
}

impl Asked<'_> {
    fn outbound(&self, rule: &OutboundRule) -> Faults {
        let mut faults = Faults::default();
        for pattern in rule.to.iter().flatten() {
            faults.patterns += 1;
            if !pattern.is_international() {
                self.short(pattern, Self::taken_out, &mut faults);
            } else if !is_e164(pattern) {
                let why = format!("{pattern} is no number: + and 7 to 15 digits, the first not 0");
                faults.never.push(why);
            } else if let Some(Choice::OneOf(regions)) = &rule.region
                && !regions.iter().any(|region| may_be_in(pattern, *region))
            {
                let list: Vec<&str> = regions.iter().map(Region::as_str).collect();
                faults.never.push(format!("{pattern} is never in {}", list.join(", ")));
            }
        }
        faults
    }

    fn inbound(&self, rule: &InboundRule) -> Faults {
        let mut faults = Faults::default();
        for pattern in rule.did.iter().flatten() {
            faults.patterns += 1;
            if !pattern.is_international() {
                self.short(pattern, Self::taken_in, &mut faults);
            }
        }
        faults
    }

    /// A pattern for short codes: what of it is something else before rules are asked?
    fn short(&self, pattern: &Pattern, taken: impl Fn(&Self, &str) -> Taken, faults: &mut Faults) {
        let (values, whole) = pattern.values(MOST_VALUES);
        let (mut codes, mut numbers, mut count) = (None, None, 0);
        for value in &values {
            if !self.effort.spend(VALUE_STEPS) {
                return;
            }
            match taken(self, value) {
                Taken::No => {}
                Taken::Code(words) => {
                    count += 1;
                    codes.get_or_insert(words);
                }
                Taken::Number(number) => {
                    count += 1;
                    numbers.get_or_insert((value, number));
                }
            }
        }
        let all = whole && count == values.len();
        match (codes, numbers) {
            (Some(words), None) if all => faults.never.push(words),
            (_, Some((value, number))) => {
                let why = format!(
                    "numbers are compared in full, {value} as {number}; a pattern for them begins \
                     with +"
                );
                match all {
                    true => faults.never.push(why),
                    false => faults
                        .partly
                        .push(format!("{pattern} matches only what is no complete number: {why}")),
                }
            }
            _ => {}
        }
    }

    fn taken_out(&self, value: &str) -> Taken {
        let Ok(digits) = value.parse::<DialString>() else { return Taken::No };
        if self.countries.iter().all(|country| self.is_emergency(&digits, *country)) {
            return Taken::Code(format!("{value} is an emergency number"));
        }
        if self.plan.extensions.contains_key(&digits) {
            return Taken::Code(format!("{value} is an extension, which comes before any rule"));
        }
        if self.plan.features.contains_key(&digits) {
            return Taken::Code(format!("{value} is a feature code, which comes before any rule"));
        }
        // A number in one country and a code in another is both.
        let all: Option<Vec<Number>> =
            self.countries.iter().map(|country| Number::read(&digits, *country)).collect();
        match all.as_deref() {
            Some([first, ..]) => Taken::Number(first.e164.as_str().to_owned()),
            _ => Taken::No,
        }
    }

    fn taken_in(&self, value: &str) -> Taken {
        let digits = value.parse::<DialString>().ok();
        match digits.and_then(|digits| Number::read(&digits, self.plan.country)) {
            Some(number) => Taken::Number(number.e164.as_str().to_owned()),
            None => Taken::No,
        }
    }

    fn is_emergency(&self, digits: &DialString, country: Region) -> bool {
        match &self.plan.emergency {
            Emergency::NotProvided => emergency::is_expected(digits.as_str(), country),
            Emergency::Provided { .. } => self.plan.is_emergency(digits, country),
        }
    }
}

/// Whether some number of 7 to 15 digits matches.
fn is_e164(pattern: &Pattern) -> bool {
    let digits = pattern.len() - 1;
    let length = match pattern.ends_at(pattern.len()) {
        true => (7..=15).contains(&digits),
        false => digits < 15,
    };
    length
        && (1..pattern.len()).all(|at| b"0123456789".iter().any(|c| pattern.allows(at, *c)))
        && b"123456789".iter().any(|c| pattern.allows(1, *c))
}

/// Whether a number that matches may begin with a country's code.
fn may_be_in(pattern: &Pattern, region: Region) -> bool {
    let Some(code) = region.calling_code() else { return true };
    code.to_string().bytes().zip(1..).all(|(digit, at)| pattern.allows(at, digit))
}

/// Values of one pattern that are looked at.
const MOST_VALUES: usize = 64;
/// What reading a number costs, in steps of the analysis.
const VALUE_STEPS: usize = 200;

#[cfg(test)]
mod tests {
    use crate::base::Severity;
    use crate::dialplan::{Known, NoFiles, load};

    const HEAD: &str = "version = 1\n[defaults]\ncountry = \"DE\"\ntimezone = \"Europe/Berlin\"\n\
        caller_id = \"o\"\n[caller_id.o]\nnumber = \"+493012345670\"\n[emergency]\n\
        numbers = { DE = [\"110\", \"112\"], US = [\"911\"] }\nroute = \"n\"\n\
        [extension]\n\"100\" = \"user:a\"\n\"101\" = \"user:b\"\n[[feature]]\ncode = \"*97\"\n\
        to = \"user:a\"\n";

    fn found(rule: &str) -> Vec<(Severity, String)> {
        let findings = match load(&format!("{HEAD}{rule}"), "p", &Known::default(), &NoFiles) {
            Ok(plan) => plan.warnings().to_vec(),
            Err(findings) => findings,
        };
        let other = |message: &str| message.starts_with("no test reaches");
        findings
            .into_iter()
            .filter(|f| !other(&f.message))
            .map(|f| (f.severity, f.message))
            .collect()
    }

    #[test]
    fn what_no_call_can_reach_is_an_error_in_words() {
        for (rule, why) in [
            ("to = \"100\"\nroute = \"n\"", "100 is an extension, which comes before any rule"),
            ("to = \"10[01]\"\nroute = \"n\"", "100 is an extension, which comes before any rule"),
            ("to = \"112\"\nroute = \"n\"", "112 is an emergency number"),
            ("to = \"*97\"\ndeny = \"x\"", "*97 is a feature code, which comes before any rule"),
            ("to = \"+0123\"\nroute = \"n\"", "+0123 is no number: + and 7 to 15 digits"),
            ("to = \"+49\"\nroute = \"n\"", "+49 is no number: + and 7 to 15 digits"),
            ("to = \"+49XXXXXXXXXXXXXXXXXXXX\"\nroute = \"n\"", "+49XXXXXXXXXXXXXXXXXXXX is"),
            ("to = \"+49.\"\nregion = \"FR\"\nroute = \"n\"", "+49. is never in FR"),
            (
                "to = \"030123457\"\ndeny = \"x\"",
                "numbers are compared in full, 030123457 as +4930123457; a pattern for them begins \
                 with +",
            ),
        ] {
            let all = found(&format!("[[outbound]]\nname = \"r\"\n{rule}\n"));
            let expected = format!("rule \"r\" can never match: {why}");
            assert_eq!(all.len(), 1, "{rule}\n{all:#?}");
            assert!(all[0].0 == Severity::Error && all[0].1.starts_with(&expected), "{all:#?}");
        }
        let all = found("[[inbound]]\nname = \"i\"\ndid = \"030123457\"\nflow = \"hangup\"\n");
        assert!(all[0].1.starts_with("rule \"i\" can never match: numbers are"), "{all:#?}");
    }

    #[test]
    fn a_trap_is_a_warning() {
        for (rule, what) in [
            ("to = \"0900.\"\ndeny = \"x\"", "rule \"r\": 0900. matches only what is no complete"),
            (
                "to = [\"100\", \"200\"]\nroute = \"n\"",
                "rule \"r\": a part of `to` matches nothing: 100 is an extension",
            ),
        ] {
            let all = found(&format!("[[outbound]]\nname = \"r\"\n{rule}\n"));
            assert_eq!(all.len(), 1, "{rule}\n{all:#?}");
            assert!(all[0].0 == Severity::Warning && all[0].1.starts_with(what), "{all:#?}");
        }
    }

    #[test]
    fn what_can_be_reached_is_fine() {
        for rule in [
            "to = \"10X\"\nroute = \"n\"",
            "to = \"60X\"\nroute = \"n\"",
            "to = \"911\"\nroute = \"n\"",
            "to = \"12AB\"\nroute = \"n\"",
            "to = \"*98\"\nroute = \"n\"",
            "to = \"+49.\"\nregion = [\"FR\", \"DE\"]\nroute = \"n\"",
            "to = \"+[34]X.\"\nregion = \"FR\"\nroute = \"n\"",
            "to = \"+8.\"\nregion = \"001\"\nroute = \"n\"",
            "to = \"+.\"\nroute = \"n\"",
        ] {
            let all = found(&format!("[[outbound]]\nname = \"r\"\n{rule}\n"));
            assert!(all.is_empty(), "{rule}\n{all:#?}");
        }
    }
}
