//! What records are looked for.

use jiff::Timestamp;

/// Everything that is said must hold; nothing said is every record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A user on either side.
    pub user: Option<String>,
    /// A number on either side, or its beginning.
    pub number: Option<String>,
    /// The trunk.
    pub trunk: Option<String>,
    /// The direction as records spell it.
    pub direction: Option<String>,
    /// The cause as records spell it.
    pub cause: Option<String>,
    /// Started at this time or later.
    pub since: Option<Timestamp>,
    /// Started before this time.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// The query, and the values of its parameters from `$6` on. The text is made of constants only:
    /// what a client says is always a parameter.
    pub(super) fn sql(&self) -> (String, Vec<String>) {
        let mut values: Vec<String> = Vec::new();
        let mut terms = String::new();
        let mut also = |term: &dyn Fn(&str) -> String, bound: Vec<String>| {
            let from = values.len() + 6;
            let mut names = (from..from + bound.len()).map(|n| format!("${n}"));
            terms += " AND ";
            terms += &match bound.len() {
                1 => term(&names.next().unwrap_or_default()),
                _ => term(&names.collect::<Vec<_>>().join(" ")),
            };
            values.extend(bound);
        };
        if let Some(user) = &self.user {
            also(&|p| format!("(from_user = {p} OR to_user = {p})"), vec![user.clone()]);
        }
        if let Some(number) = &self.number {
            // A beginning as a range, which an index can answer: `+49` to `+4:`.
            let range = |p: &str| {
                let (low, high) = p.split_once(' ').unwrap_or((p, p));
                format!(
                    "((from_number >= {low} AND from_number < {high}) \
                     OR (to_number >= {low} AND to_number < {high}))"
                )
            };
            also(&range, vec![number.clone(), after(number)]);
        }
        for (column, value) in
            [("trunk", &self.trunk), ("direction", &self.direction), ("cause", &self.cause)]
        {
            if let Some(value) = value {
                also(&|p| format!("{column} = {p}"), vec![value.clone()]);
            }
        }
        (format!("{HEAD}{terms}{TAIL}"), values)
    }

    pub(super) fn since_ms(&self) -> i64 {
        self.since.map_or(i64::MIN, Timestamp::as_millisecond)
    }

    pub(super) fn until_ms(&self) -> i64 {
        self.until.map_or(i64::MAX, Timestamp::as_millisecond)
    }
}

/// The least text that begins otherwise and comes after: numbers are `+` and digits, and `:` follows 9.
fn after(beginning: &str) -> String {
    format!("{beginning}:")
}

const HEAD: &str = "SELECT record FROM cdrs \
    WHERE (started_at_ms < $1 OR (started_at_ms = $1 AND id < $2)) \
    AND started_at_ms >= $4 AND started_at_ms < $5";
const TAIL: &str = " ORDER BY started_at_ms DESC, id DESC LIMIT $3";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_a_parameter() {
        let evil = "' OR 1=1 --".to_owned();
        let filter = Filter {
            user: Some(evil.clone()),
            number: Some("+49".to_owned()),
            trunk: Some(evil.clone()),
            direction: Some(evil.clone()),
            cause: Some(evil.clone()),
            ..Filter::default()
        };
        let (sql, values) = filter.sql();
        assert!(!sql.contains("1=1"), "{sql}");
        assert_eq!(values[1..3], ["+49", "+49:"]);
        for n in 1..=values.len() + 5 {
            assert!(sql.contains(&format!("${n}")), "{n} in {sql}");
        }
        assert!(!sql.contains(&format!("${}", values.len() + 6)));
    }
}
