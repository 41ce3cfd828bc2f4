//! What records are looked for.

use jiff::Timestamp;

/// Everything that is said must hold; nothing said is every record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A user on either side.
    pub user: Option<String>,
    /// A number on either side or what was dialled (an extension, a code), or its beginning.
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

/// Where the rows of a search come from. Neither database can know which is better: what a client asks
/// for is a parameter, and the answer for one number is not that for all of a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In the order of the list, until the page is full: most rows fit.
    InOrder,
    /// By the number's own index, then brought in order: few rows fit.
    ByNumber,
}

impl Filter {
    /// The query, and the values of its parameters from `$6` on. The text is made of constants only:
    /// what a client says is always a parameter.
    pub(super) fn sql(&self, way: Way) -> (String, Vec<String>) {
        let mut values: Vec<String> = Vec::new();
        let mut next = |value: &str| {
            values.push(value.to_owned());
            format!("${}", values.len() + 5)
        };
        let mut others = String::new();
        for (column, value) in
            [("trunk", &self.trunk), ("direction", &self.direction), ("cause", &self.cause)]
        {
            if let Some(value) = value {
                others += &format!(" AND {column} = {}", next(value));
            }
        }
        let number = self.number.as_ref().map(|number| (next(number), next(&after(number))));
        let between = |column: &str, (low, high): &(String, String)| {
            format!("{column} >= {low} AND {column} < {high}")
        };
        // A row with the same user or number on both sides comes from both: a union is a set.
        let sql = match (&self.user, &number, way) {
            (Some(user), number, _) => {
                let user = next(user);
                if let Some(number) = number {
                    // The user's index is the one: an expression has none.
                    let [from, to] = ["(from_number || '')", "(to_number || '')"];
                    let (from, to) = (between(from, number), between(to, number));
                    others += &format!(" AND (({from}) OR ({to}))");
                }
                let side = |own: &str| {
                    format!(
                        "SELECT * FROM (SELECT id, started_at_ms, record FROM cdrs \
                         WHERE {own} = {user} AND {PLACE}{others}{ORDER}) AS {own}s"
                    )
                };
                let (from, to) = (side("from_user"), side("to_user"));
                format!("SELECT record FROM ({from} UNION {to}) AS both_sides{ORDER}")
            }
            (None, Some(number), Way::ByNumber) => {
                // Each side brings only its own page in order, and keys alone.
                let side = |own: &str| {
                    let number = between(own, number);
                    format!(
                        "SELECT * FROM (SELECT id, started_at_ms FROM cdrs \
                         WHERE {number} AND {UNINDEXED_PLACE}{others}{ORDER}) AS {own}s"
                    )
                };
                let (from, to) = (side("from_number"), side("to_number"));
                records_of(&format!("SELECT * FROM ({from} UNION {to}) AS both_sides{ORDER}"))
            }
            (None, Some(number), Way::InOrder) => {
                let [from, to] = ["(from_number || '')", "(to_number || '')"];
                let (from, to) = (between(from, number), between(to, number));
                records_of(&format!(
                    "SELECT id, started_at_ms FROM cdrs \
                     WHERE {PLACE}{others} AND (({from}) OR ({to})){ORDER}"
                ))
            }
            (None, None, _) => format!("SELECT record FROM cdrs WHERE {PLACE}{others}{ORDER}"),
        };
        (sql, values)
    }

    /// The beginning of the number that decides on the [`Way`], with what comes after all that begin so.
    pub(super) fn number_range(&self) -> Option<(String, String)> {
        let number = self.number.as_ref().filter(|_| self.user.is_none())?;
        Some((number.clone(), after(number)))
    }

    pub(super) fn since_ms(&self) -> i64 {
        self.since.map_or(i64::MIN, Timestamp::as_millisecond)
    }

    pub(super) fn until_ms(&self) -> i64 {
        self.until.map_or(i64::MAX, Timestamp::as_millisecond)
    }
}

/// The records of a page of keys, which an index alone has given.
fn records_of(page: &str) -> String {
    format!(
        "SELECT cdrs.record FROM ({page}) AS page \
         JOIN cdrs ON cdrs.id = page.id AND cdrs.started_at_ms = page.started_at_ms \
         ORDER BY page.started_at_ms DESC, page.id DESC"
    )
}

/// The least text that begins otherwise and comes after: numbers are `+` and digits, and `:` follows 9.
fn after(beginning: &str) -> String {
    format!("{beginning}:")
}

/// After the cursor and between two times, as an index by time answers it.
const PLACE: &str = "started_at_ms <= $1 AND (started_at_ms < $1 OR id < $2) \
    AND started_at_ms >= $4 AND started_at_ms < $5";
/// The same for rows that come by another index.
const UNINDEXED_PLACE: &str = "started_at_ms + 0 <= $1 AND (started_at_ms + 0 < $1 OR id || '' < $2) \
    AND started_at_ms + 0 >= $4 AND started_at_ms + 0 < $5";
const ORDER: &str = " ORDER BY started_at_ms DESC, id DESC LIMIT $3";

/// How many records have a number that begins so on either side, up to one more than [`MOST_FEW`].
pub(super) const FEW: &str = "
SELECT COUNT(*) AS found FROM (SELECT 1 AS one FROM cdrs WHERE from_number >= $1 AND from_number < $2
                               UNION ALL
                               SELECT 1 AS one FROM cdrs WHERE to_number >= $1 AND to_number < $2
                               LIMIT 12001) AS those";
/// More than this is many: of a million records, a page of 50 in the list's order then takes some 4,000
/// keys where they are spread, and 12,000 keys by number are brought in order as fast as any page comes.
pub(super) const MOST_FEW: i64 = 12_000;

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
        let (sql, values) = filter.sql(Way::InOrder);
        assert!(!sql.contains("1=1"), "{sql}");
        assert_eq!(values[3..5], ["+49", "+49:"]);
        for n in 1..=values.len() + 5 {
            assert!(sql.contains(&format!("${n}")), "{n} in {sql}");
        }
        assert!(!sql.contains(&format!("${}", values.len() + 6)));
    }
}
