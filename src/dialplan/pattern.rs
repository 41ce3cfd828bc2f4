//! Patterns: sequences of digit sets, so that "can this rule ever match" has an exact answer.
//!
//! `X` is 0-9, `Z` 1-9, `N` 2-9, `[2-4]` and `[135]` are sets, a last `.` is one or more digits,
//! and `+ * #` and the digits are themselves. No regular expressions.

use std::fmt;
use std::str::FromStr;

/// A pattern over dialled values and numbers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
    sets: Vec<Set>,
    open: bool,
}

/// A set of dialable characters as bits in the order of `ALPHABET`.
pub(super) type Set = u32;

impl Pattern {
    /// Whether the pattern is meant for international numbers, that is, starts with `+`.
    pub fn is_international(&self) -> bool {
        self.text.starts_with('+')
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.mismatch(text).is_none()
    }

    /// `None` where `text` matches; otherwise how many characters after a leading `+` come before
    /// the first that does not fit, plus one.
    pub fn mismatch(&self, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        let plus = usize::from(bytes.first() == Some(&b'+') && self.is_international());
        let at = |index: usize| Some((index + 1).saturating_sub(plus).max(1));
        for (index, set) in self.sets.iter().enumerate() {
            match bytes.get(index) {
                Some(byte) if bit(*byte) & set != 0 => {}
                _ => return at(index),
            }
        }
        let rest = &bytes[self.sets.len()..];
        match (self.open, rest.is_empty()) {
            (false, true) => None,
            (true, false) => match rest.iter().position(|b| bit(*b) & DIGITS == 0) {
                None => None,
                Some(offset) => at(self.sets.len() + offset),
            },
            _ => at(self.sets.len()),
        }
    }

    /// Whether every value that matches `other` matches `self`, exactly.
    pub fn covers(&self, other: &Pattern) -> bool {
        let set = |pattern: &Pattern, index: usize| {
            pattern.sets.get(index).copied().or(pattern.open.then_some(DIGITS))
        };
        // An open pattern of n sets stands for all lengths above n; a closed one for n alone.
        let (shortest, longest) = other.lengths();
        let (own_shortest, own_longest) = self.lengths();
        if shortest < own_shortest || longest > own_longest {
            return false;
        }
        let end = self.sets.len().max(other.sets.len()) + 1;
        (0..end).all(|index| match (set(self, index), set(other, index)) {
            (Some(own), Some(theirs)) => theirs & !own == 0,
            (_, None) => true,
            (None, Some(_)) => false,
        })
    }

    /// A value that matches.
    pub(super) fn sample(&self) -> String {
        let first = |set: &Set| ALPHABET[set.trailing_zeros() as usize] as char;
        self.sets.iter().map(first).chain(self.open.then_some('0')).collect()
    }

    /// Values that match: all of them and `true` where there are at most `most`, else some.
    pub(super) fn values(&self, most: usize) -> (Vec<String>, bool) {
        let mut all = vec![String::new()];
        for set in &self.sets {
            if self.open || all.len() * set.count_ones() as usize > most {
                return (self.some(), false);
            }
            let chars: Vec<char> = characters(*set).collect();
            all = all.iter().flat_map(|v| chars.iter().map(move |c| format!("{v}{c}"))).collect();
        }
        if self.open { (self.some(), false) } else { (all, true) }
    }

    /// Values of each length that a number may have, with low, middle and high digits.
    fn some(&self) -> Vec<String> {
        let longest = if self.open { 16_usize.saturating_sub(self.sets.len()).max(1) } else { 0 };
        let mut all = Vec::new();
        for more in usize::from(self.open)..=longest {
            for (step, steps) in [(0, 1), (1, 2), (1, 1)] {
                let sets = self.sets.iter().copied().chain(std::iter::repeat_n(DIGITS, more));
                let value = sets.filter_map(|set| {
                    let last = set.count_ones() as usize - 1;
                    characters(set).nth(last * step / steps)
                });
                all.push(value.collect());
            }
        }
        all.retain(|value: &String| value.len() <= crate::base::DialString::MAX_LEN);
        all
    }

    /// Whether a character may stand at a position.
    pub(super) fn allows(&self, position: usize, byte: u8) -> bool {
        self.set(position) & bit(byte) != 0
    }

    /// How many sets there are before the dot or the end.
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// The characters that may stand at a position, as bits; 0 past the end.
    pub(super) fn set(&self, position: usize) -> Set {
        let past = if self.open { DIGITS } else { 0 };
        self.sets.get(position).copied().unwrap_or(past)
    }

    /// Whether a value of this many characters may end here.
    pub(super) fn ends_at(&self, count: usize) -> bool {
        if self.open { count > self.sets.len() } else { count == self.sets.len() }
    }

    /// Whether some value matches both.
    pub(super) fn overlaps(&self, other: &Pattern) -> bool {
        let (a, b) = (self.lengths(), other.lengths());
        let len = a.0.max(b.0);
        len <= a.1.min(b.1) && (0..len).all(|i| self.set(i) & other.set(i) != 0)
    }

    fn lengths(&self) -> (usize, usize) {
        if self.open {
            (self.sets.len() + 1, usize::MAX)
        } else {
            (self.sets.len(), self.sets.len())
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        let kept: String = text.chars().filter(|c| *c != ' ').collect();
        let mut sets = Vec::new();
        let mut open = false;
        let mut chars = kept.chars();
        while let Some(c) = chars.next() {
            if open {
                return Err(PatternError::DotNotLast);
            }
            match c {
                'X' => sets.push(DIGITS),
                'Z' => sets.push(DIGITS & !bit(b'0')),
                'N' => sets.push(DIGITS & !bit(b'0') & !bit(b'1')),
                '[' => sets.push(bracket(&mut chars)?),
                '.' => open = true,
                '+' if !sets.is_empty() => return Err(PatternError::PlusNotFirst),
                c if u8::try_from(c).is_ok_and(|byte| bit(byte) != 0) => sets.push(bit(c as u8)),
                other => return Err(PatternError::Illegal(other)),
            }
        }
        let limit = crate::base::DialString::MAX_LEN;
        if sets.is_empty() {
            Err(PatternError::Empty)
        } else if sets.len() + usize::from(open) > limit {
            Err(PatternError::TooLong)
        } else {
            Ok(Pattern { text: kept, sets, open })
        }
    }
}

/// Patterns as a tree of sets, so that those which match a value are found along its characters.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    next: Vec<(Set, u32)>,
    /// Of patterns that end here, and of those whose dot stands here; ascending.
    closed: Vec<u32>,
    open: Vec<u32>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { nodes: vec![Node::default()] }
    }
}

impl Tree {
    /// Adds a pattern under a number, not smaller than those before.
    pub fn add(&mut self, pattern: &Pattern, number: u32) {
        let mut here = 0;
        for set in &pattern.sets {
            let known = self.nodes[here].next.iter().find(|(known, _)| known == set);
            here = match known {
                Some((_, node)) => *node as usize,
                None => {
                    let fresh = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[here].next.push((*set, fresh as u32));
                    fresh
                }
            };
        }
        let node = &mut self.nodes[here];
        let list = if pattern.open { &mut node.open } else { &mut node.closed };
        if list.last() != Some(&number) {
            list.push(number);
        }
    }

    /// The numbers of all patterns that match, as lists that may share some.
    pub fn matches(&self, text: &str) -> Vec<&[u32]> {
        let bytes = text.as_bytes();
        // From where on there are only digits.
        let digits = bytes.iter().rposition(|b| bit(*b) & DIGITS == 0).map_or(0, |at| at + 1);
        let mut found: Vec<&[u32]> = Vec::new();
        let (mut here, mut next): (Vec<u32>, Vec<u32>) = (vec![0], Vec::new());
        for (at, byte) in bytes.iter().enumerate() {
            next.clear();
            for node in here.iter().map(|node| &self.nodes[*node as usize]) {
                if at >= digits && !node.open.is_empty() {
                    found.push(&node.open);
                }
                let fits = node.next.iter().filter(|(set, _)| set & bit(*byte) != 0);
                next.extend(fits.map(|(_, node)| *node));
            }
            std::mem::swap(&mut here, &mut next);
        }
        let ends = here.iter().map(|node| self.nodes[*node as usize].closed.as_slice());
        found.extend(ends.filter(|list| !list.is_empty()));
        found
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing before the end or the dot.
    #[error("an empty pattern would match everything; say which digits, or leave the field out")]
    Empty,
    /// Longer than anything that can be dialled.
    #[error("longer than the 32 characters that can be dialled")]
    TooLong,
    /// `.` before the end.
    #[error("`.` (one or more digits) must be the last character")]
    DotNotLast,
    /// `+` after the start.
    #[error("`+` can only be the first character")]
    PlusNotFirst,
    /// `[` without a set that closes.
    #[error("a set is written [135] or [2-4], with digits only")]
    BadSet,
    /// A character without a meaning.
    #[error("{0:?} has no meaning in a pattern (digits, X, Z, N, [2-4], *, #, +, a last .)")]
    Illegal(char),
}

const ALPHABET: &[u8; 17] = b"0123456789*#+ABCD";
const DIGITS: Set = 0x3ff;

/// The bit of a dialable character, 0 for any other.
fn bit(byte: u8) -> Set {
    match byte {
        b'0'..=b'9' => 1 << (byte - b'0'),
        other => ALPHABET.iter().position(|c| *c == other).map_or(0, |index| 1 << index),
    }
}

fn characters(set: Set) -> impl Iterator<Item = char> {
    ALPHABET.iter().enumerate().filter(move |(n, _)| set & (1 << n) != 0).map(|(_, c)| *c as char)
}

fn bracket(chars: &mut std::str::Chars<'_>) -> Result<Set, PatternError> {
    let mut set = 0;
    let mut from: Option<u8> = None;
    let mut range = false;
    loop {
        match chars.next() {
            Some(c @ '0'..='9') => {
                let digit = c as u8;
                match from {
                    Some(first) if range => {
                        if first > digit {
                            return Err(PatternError::BadSet);
                        }
                        (first..=digit).for_each(|d| set |= bit(d));
                        (from, range) = (None, false);
                    }
                    _ => {
                        set |= bit(digit);
                        from = Some(digit);
                    }
                }
            }
            Some('-') if from.is_some() && !range => range = true,
            Some(']') if set != 0 && !range => return Ok(set),
            _ => return Err(PatternError::BadSet),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn sets_and_the_last_dot() {
        for (text, yes, no) in [
            ("60X", &["600", "609"][..], &["60", "6000", "610", "+60"][..]),
            ("+49301234XX", &["+4930123400"], &["+493012340", "49301234000"]),
            ("+49.", &["+491", "+4912345"], &["+49", "+48123"]),
            ("NZX", &["210"], &["110", "200"]),
            ("1[2-46]", &["12", "13", "14", "16"], &["11", "15", "17"]),
            ("*97", &["*97"], &["97", "*9"]),
            ("A1", &["A1"], &["B1", "11"]),
        ] {
            for value in yes {
                assert!(pattern(text).matches(value), "{text} {value}");
            }
            for value in no {
                assert!(!pattern(text).matches(value), "{text} {value}");
            }
        }
    }

    #[test]
    fn the_digit_that_does_not_fit_is_counted_without_the_plus() {
        assert_eq!(pattern("+49301234XX").mismatch("+18765551234"), Some(1));
        assert_eq!(pattern("+49301234XX").mismatch("+4940"), Some(3));
        assert_eq!(pattern("60X").mismatch("61"), Some(2));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_reason() {
        for (text, error) in [
            ("", PatternError::Empty),
            (".", PatternError::Empty),
            ("1.2", PatternError::DotNotLast),
            ("1+", PatternError::PlusNotFirst),
            ("[", PatternError::BadSet),
            ("[]", PatternError::BadSet),
            ("[4-2]", PatternError::BadSet),
            ("[1-", PatternError::BadSet),
            ("1x", PatternError::Illegal('x')),
            ("^49", PatternError::Illegal('^')),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(error), "{text:?}");
        }
        assert_eq!("1".repeat(33).parse::<Pattern>(), Err(PatternError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}", value in "[0-9A-D*#+]{0,40}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                let _ = pattern.matches(&value);
                prop_assert!(pattern.covers(&pattern));
            }
        }

        #[test]
        fn the_tree_finds_all_that_match_and_no_others(
            patterns in proptest::collection::vec("\\+?([0-2XZN*]|\\[12\\]){1,4}\\.?", 1..12),
            value in "\\+?[0-3*]{0,6}",
        ) {
            let patterns: Vec<Pattern> = patterns.iter().map(|p| p.parse().unwrap()).collect();
            let mut tree = Tree::default();
            patterns.iter().zip(0u32..).for_each(|(pattern, n)| tree.add(pattern, n));
            let mut found = tree.matches(&value).concat();
            found.sort_unstable();
            let all = patterns.iter().zip(0u32..);
            let expected: Vec<u32> =
                all.filter(|(pattern, _)| pattern.matches(&value)).map(|(_, n)| n).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
