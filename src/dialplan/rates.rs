//! Prices by prefix: lines `prefix,trunk,price_per_min`. The longest prefix of a trunk counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::base::{Findings, Place, TrunkId};

/// A table of prices.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    /// By prefix (digits without `+`): trunk and price in millionths a minute.
    by_prefix: HashMap<String, Vec<(TrunkId, u64)>>,
    trunks: BTreeSet<TrunkId>,
    longest: usize,
}

impl Rates {
    /// Reads a CSV file; every bad line is reported.
    pub fn parse(text: &str, file: &str, findings: &Findings) -> Rates {
        let mut rates = Rates::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty()
                || line.starts_with('#')
                || (index == 0 && line.starts_with("prefix,"))
            {
                continue;
            }
            let at = Place {
                file: file.into(),
                line: u32::try_from(index + 1).unwrap_or(u32::MAX),
                column: 1,
            };
            match entry(line) {
                Ok((prefix, trunk, price)) => {
                    let list = rates.by_prefix.entry(prefix.to_owned()).or_default();
                    if list.iter().any(|(known, _)| *known == trunk) {
                        findings.error(&at, format!("a second price for {prefix} by {trunk}"));
                    } else {
                        if !rates.trunks.contains(&trunk) {
                            rates.trunks.insert(trunk.clone());
                        }
                        list.push((trunk, price));
                        rates.longest = rates.longest.max(prefix.len());
                    }
                }
                Err(reason) => findings.error(&at, reason),
            }
        }
        rates
    }

    /// Sorts trunks by their price for a number (digits without `+`), cheapest first; those without
    /// a price keep their order behind the others, and equal prices keep theirs.
    pub fn sort(&self, digits: &str, trunks: &mut [TrunkId]) {
        let prices = self.prices(digits);
        trunks.sort_by_key(|trunk| prices.get(trunk).copied().unwrap_or(u64::MAX));
    }

    /// Whether the table has a price by this trunk.
    pub fn has(&self, trunk: &TrunkId) -> bool {
        self.trunks.contains(trunk)
    }

    fn prices(&self, digits: &str) -> BTreeMap<&TrunkId, u64> {
        let mut prices = BTreeMap::new();
        for len in (1..=self.longest.min(digits.len())).rev() {
            for (trunk, price) in self.by_prefix.get(&digits[..len]).into_iter().flatten() {
                prices.entry(trunk).or_insert(*price);
            }
        }
        prices
    }
}

fn entry(line: &str) -> Result<(&str, TrunkId, u64), String> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let [prefix, trunk, price] = cells.as_slice() else {
        return Err(format!("expected prefix,trunk,price_per_min, found {} cells", cells.len()));
    };
    let prefix = prefix.strip_prefix('+').unwrap_or(prefix);
    if prefix.is_empty() || prefix.len() > 15 || !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{prefix:?} is no prefix of 1 to 15 digits"));
    }
    let trunk = trunk.parse().map_err(|error| format!("{trunk:?} is no trunk: {error}"))?;
    let price = millionths(price).ok_or_else(|| format!("{price:?} is no price like 0.0123"))?;
    Ok((prefix, trunk, price))
}

/// A decimal number with up to six places, in millionths.
fn millionths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_of_each_trunk_counts() {
        let findings = Findings::default();
        let text = "prefix,trunk,price_per_min\n49,a,0.02\n49,b,0.01\n4915,b,0.09\n+43,a,0.05\n";
        let rates = Rates::parse(text, "r.csv", &findings);
        assert!(!findings.has_errors());
        let sorted = |digits: &str| {
            let mut trunks: Vec<TrunkId> = ["a", "b", "c"].map(|t| t.parse().unwrap()).into();
            rates.sort(digits, &mut trunks);
            trunks.iter().map(TrunkId::as_str).collect::<Vec<_>>().join("")
        };
        assert_eq!(sorted("4930123"), "bac");
        assert_eq!(sorted("4915123"), "abc");
        assert_eq!(sorted("43123"), "abc");
        assert_eq!(sorted("1"), "abc");
    }

    #[test]
    fn bad_lines_are_all_reported() {
        let findings = Findings::default();
        Rates::parse("49,a\nx,a,1\n49,a b,1\n49,a,-1\n49,a,1\n49,a,2\n", "r.csv", &findings);
        assert_eq!(findings.into_sorted().len(), 5);
    }
}
