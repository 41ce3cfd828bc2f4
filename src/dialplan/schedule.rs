//! Opening hours: `mon-fri 08:30-17:30`, days closed, in one time zone with its clock changes.
//!
//! Zones come from the database compiled into the program, so that a plan means the same everywhere.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A time zone by its IANA name.
#[derive(Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of a name like `Europe/Berlin`.
    pub fn named(name: &str) -> Option<Zone> {
        TimeZoneDatabase::bundled().get(name).ok().map(Zone)
    }

    /// Every name there is.
    pub fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
    }

    /// Local date and time of a moment.
    pub fn local(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }

    /// A moment that a person wrote: RFC 3339 with its offset, or date and time of this zone.
    pub fn read(&self, text: &str) -> Option<Timestamp> {
        let (date, time) = text.split_once(['T', 't', ' '])?;
        let is = |text: &str, others: &[u8]| {
            text.bytes().all(|b| b.is_ascii_digit() || others.contains(&b))
        };
        // The library would read a date alone as midnight and pass over an offset.
        if is(date, b"-") && is(time, b":.") {
            return self.moment(text.parse().ok()?);
        }
        match time.contains('[') {
            true => None,
            false => text.parse().ok(),
        }
    }

    /// The moment of a local date and time; in a gap the later, in a fold the earlier.
    pub fn moment(&self, local: DateTime) -> Option<Timestamp> {
        self.0.to_ambiguous_timestamp(local).compatible().ok()
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("?"))
    }
}

/// A schedule of `[schedule.NAME]`.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub(super) zone: Zone,
    pub(super) open: Vec<Hours>,
    pub(super) closed: Vec<Day>,
}

impl Schedule {
    /// Whether it is open at this moment.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let local = self.zone.local(at);
        if self.closed.iter().any(|day| day.is(local.date())) {
            return false;
        }
        self.open.iter().any(|hours| hours.contain(local))
    }

    /// Whether it is open at no time at all, or at all times: such a schedule is a mistake.
    pub fn is_constant(&self) -> bool {
        let minutes: u32 = (0..7u8)
            .map(|day| self.minutes_of(day).iter().map(|m| u32::from(*m)).sum::<u32>())
            .sum();
        minutes == 0 || (minutes == 7 * 1440 && self.closed.is_empty())
    }

    /// Whether it is open whenever `other` is: exact within one time zone. Of two zones nothing is
    /// claimed: their clocks change by rules that may change.
    pub fn covers(&self, other: &Schedule) -> bool {
        self.covers_in(&self.week(), other, &other.week())
    }

    /// The same with the weeks of both, for whoever asks often.
    pub(super) fn covers_in(&self, own: &Week, other: &Schedule, theirs: &Week) -> bool {
        self.zone.0 == other.zone.0
            && own.0.iter().zip(&theirs.0).all(|(own, theirs)| theirs & !own == 0)
            && self.closed.iter().all(|day| other.is_closed_on(day))
    }

    /// The minutes of a week without its closed days.
    pub(super) fn week(&self) -> Week {
        let mut bits = vec![0; 7 * 1440_usize.div_ceil(64)];
        for day in 0..7u8 {
            let first = usize::from(day) * 1440_usize.div_ceil(64);
            for (minute, open) in self.minutes_of(day).into_iter().enumerate() {
                bits[first + minute / 64] |= u64::from(open) << (minute % 64);
            }
        }
        Week(bits)
    }

    /// Whether it is never open on this day.
    fn is_closed_on(&self, day: &Day) -> bool {
        let listed = self.closed.iter().any(|own| own == day);
        match day {
            Day::Once(date) => {
                let idle = self.minutes_of(monday_zero(date.weekday())).iter().all(|m| *m == 0);
                listed || idle || self.closed.iter().any(|own| own.is(*date))
            }
            // Over the years it falls on every weekday, and on some of them there are hours.
            Day::Yearly(..) => listed,
        }
    }

    /// One cell a minute of a weekday (0 = Monday): 1 where open. Hours past midnight count for the
    /// day they reach into.
    fn minutes_of(&self, day: u8) -> Vec<u8> {
        let mut cells = vec![0u8; 1440];
        let before = (day + 6) % 7;
        for hours in &self.open {
            let (from, to) = (usize::from(hours.from), usize::from(hours.to));
            if hours.days.contains(&day) {
                let end = if to > from { to } else { 1440 };
                cells[from..end].fill(1);
            }
            if to <= from && hours.days.contains(&before) {
                cells[..to].fill(1);
            }
        }
        cells
    }
}

/// One bit a minute, 1 where open.
#[derive(Debug)]
pub(super) struct Week(Vec<u64>);

/// A span of hours on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// 0 = Monday.
    days: Vec<u8>,
    /// Minute of the day.
    from: u16,
    /// Minute of the day, at most 1440; at or before `from` it is on the next day.
    to: u16,
}

impl Hours {
    /// Reads `mon-fri 08:30-17:30`, `sat 09:00-12:00`, `fri,sat 22:00-02:00`, `daily 00:00-24:00`.
    pub fn parse(text: &str) -> Option<Hours> {
        let (days, hours) = text.trim().split_once(char::is_whitespace)?;
        let (from, to) = hours.trim().split_once('-')?;
        let (from, to) = (minute(from)?, minute(to)?);
        if from == 1440 || from == to {
            return None;
        }
        Some(Hours { days: weekdays(days)?, from, to })
    }

    fn contain(&self, local: DateTime) -> bool {
        let day = monday_zero(local.date().weekday());
        let minute = minute_of(local.time());
        if self.to > self.from {
            return self.days.contains(&day) && (self.from..self.to).contains(&minute);
        }
        let before = (day + 6) % 7;
        (self.days.contains(&day) && minute >= self.from)
            || (self.days.contains(&before) && minute < self.to)
    }
}

/// A day closed: one date (`2026-12-24`), or one of every year (`12-25`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// One date.
    Once(Date),
    /// Month and day of every year.
    Yearly(i8, i8),
}

impl Day {
    /// Reads `2026-12-24` or `12-25`.
    pub fn parse(text: &str) -> Option<Day> {
        if text.len() == 10 {
            let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
            return text.parse().ok().filter(|_| plain).map(Day::Once);
        }
        let (month, day) = text.split_once('-')?;
        // 2024 is a leap year, so that 02-29 is a day.
        let number = |text: &str| i8::try_from(two_digits(text)?).ok();
        let date = Date::new(2024, number(month)?, number(day)?).ok()?;
        Some(Day::Yearly(date.month(), date.day()))
    }

    fn is(&self, date: Date) -> bool {
        match self {
            Day::Once(once) => *once == date,
            Day::Yearly(month, day) => date.month() == *month && date.day() == *day,
        }
    }
}

fn weekdays(text: &str) -> Option<Vec<u8>> {
    if text == "daily" {
        return Some((0..7).collect());
    }
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => days.push(weekday(part)?),
            Some((first, last)) => {
                let (first, last) = (weekday(first)?, weekday(last)?);
                let count = (last + 7 - first) % 7;
                days.extend((0..=count).map(|step| (first + step) % 7));
            }
        }
    }
    days.sort_unstable();
    days.dedup();
    Some(days)
}

fn weekday(text: &str) -> Option<u8> {
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    names.iter().position(|name| *name == text).and_then(|index| u8::try_from(index).ok())
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= 1440).then_some(total)
}

/// Two digits and nothing else: `+9` is no hour.
fn two_digits(text: &str) -> Option<u16> {
    let fine = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| fine)
}

fn minute_of(time: Time) -> u16 {
    u16::try_from(time.hour()).unwrap_or(0) * 60 + u16::try_from(time.minute()).unwrap_or(0)
}

fn monday_zero(day: Weekday) -> u8 {
    u8::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn office() -> Schedule {
        Schedule {
            zone: Zone::named("Europe/Berlin").unwrap(),
            open: vec![Hours::parse("mon-fri 08:30-17:30").unwrap()],
            closed: vec![Day::parse("2026-12-24").unwrap(), Day::parse("12-25").unwrap()],
        }
    }

    fn open(schedule: &Schedule, local: &str) -> bool {
        let at = schedule.zone.moment(local.parse().unwrap()).unwrap();
        schedule.is_open(at)
    }

    #[test]
    fn hours_days_and_holidays() {
        for (local, expected) in [
            ("2026-11-23T08:29", false),
            ("2026-11-23T08:30", true),
            ("2026-11-23T17:29", true),
            ("2026-11-23T17:30", false),
            ("2026-11-22T10:00", false),
            ("2026-12-24T10:00", false),
            ("2026-12-25T10:00", false),
            ("2025-12-25T10:00", false),
            ("2026-12-28T10:00", true),
        ] {
            assert_eq!(open(&office(), local), expected, "{local}");
        }
    }

    #[test]
    fn the_zone_follows_its_clock_changes() {
        // 07:30 UTC is 09:30 in summer and 08:30 in winter.
        let at = |text: &str| office().is_open(text.parse().unwrap());
        assert!(at("2026-07-01T06:30:00Z") && !at("2026-07-01T06:29:59Z"));
        assert!(at("2026-11-23T07:30:00Z") && !at("2026-11-23T07:29:59Z"));
    }

    #[test]
    fn a_moment_is_read_with_its_offset_or_in_the_zone() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        for (text, utc) in [
            ("2026-11-23T10:00", "2026-11-23T09:00:00Z"),
            ("2026-11-23 10:00:30", "2026-11-23T09:00:30Z"),
            ("2026-11-23T10:00:00-10:00", "2026-11-23T20:00:00Z"),
            ("2026-11-23T10:00-10:00", "2026-11-23T20:00:00Z"),
            ("2026-11-23T10:00Z", "2026-11-23T10:00:00Z"),
        ] {
            assert_eq!(zone.read(text), Some(utc.parse().unwrap()), "{text}");
        }
        for bad in ["2026-11-23", "10:00", "noon", "2026-11-23T10:00[America/New_York]", "", "T"] {
            assert_eq!(zone.read(bad), None, "{bad}");
        }
    }

    #[test]
    fn hours_past_midnight_belong_to_the_day_they_start() {
        let mut night = office();
        night.open = vec![Hours::parse("fri 22:00-02:00").unwrap()];
        for (local, expected) in [
            ("2026-11-27T22:00", true),
            ("2026-11-28T01:59", true),
            ("2026-11-28T02:00", false),
            ("2026-11-28T22:30", false),
            ("2026-11-27T01:00", false),
        ] {
            assert_eq!(open(&night, local), expected, "{local}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "mon",
            "mon 8:30-17:30",
            "mon 08:30",
            "mon 08:60-09:00",
            "mon 25:00-26:00",
            "funday 08:00-09:00",
            "mon 24:00-08:00",
            "mon 08:00-08:00",
            "mon +9:+5-12:00",
            "mon-fri +8:00--9:00",
        ] {
            assert_eq!(Hours::parse(bad), None, "{bad:?}");
        }
        for bad in ["2026-13-01", "2026-02-30", "02-30", "x", "1-1", "+1-02", "01-+2", "20261224  "]
        {
            assert_eq!(Day::parse(bad), None, "{bad:?}");
        }
        assert!(Zone::named("Europe/Belrin").is_none());
    }

    fn any_schedule() -> impl Strategy<Value = Schedule> {
        let days = prop_oneof!["daily", "(mon|thu|sat)", "(mon|wed|fri)-(tue|thu|sun)"];
        let hour = prop_oneof![Just(0_u16), Just(8), Just(12), Just(20)];
        let hours = (days, hour, 1_u16..4).prop_filter_map("hours", |(days, from, length)| {
            let to = (from + length * 6) % 25;
            Hours::parse(&format!("{days} {from:02}:00-{to:02}:00"))
        });
        let closed = prop_oneof![
            Just("2026-12-24"),
            Just("2026-12-25"),
            Just("12-25"),
            Just("2026-12-26"),
            Just("02-29"),
        ];
        let hours = prop::collection::vec(hours, 1..3);
        let closed = prop::collection::vec(closed, 0..3);
        (hours, closed).prop_map(|(open, closed)| Schedule {
            zone: Zone::named("Europe/Berlin").unwrap(),
            open,
            closed: closed.iter().map(|day| Day::parse(day).unwrap()).collect(),
        })
    }

    /// Every hour of a plain week and of each day that a schedule names, in 28 years, after which the
    /// calendar starts again.
    fn moments() -> Vec<Timestamp> {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let week = (9..16).map(|day| Date::constant(2026, 11, day));
        let days = (2024..2052).flat_map(|year| {
            let days = [(12, 24), (12, 25), (12, 26), (2, 29)];
            days.into_iter().filter_map(move |(month, day)| Date::new(year, month, day).ok())
        });
        let hours = |date: Date| (0..24).map(move |hour| date.at(hour, 0, 0, 0));
        week.chain(days).flat_map(hours).filter_map(|local| zone.moment(local)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn covering_agrees_with_brute_force(a in any_schedule(), b in any_schedule()) {
            static MOMENTS: std::sync::LazyLock<Vec<Timestamp>> =
                std::sync::LazyLock::new(moments);
            // A schedule of all time or none is a mistake of its own.
            prop_assume!(!a.is_constant() && !b.is_constant());
            let brute = MOMENTS.iter().all(|at| a.is_open(*at) || !b.is_open(*at));
            prop_assert_eq!(a.covers(&b), brute, "{:#?}\n{:#?}", a, b);
        }
    }

    #[test]
    fn constant_schedules_are_seen() {
        let mut always = office();
        always.open = vec![Hours::parse("daily 00:00-24:00").unwrap()];
        always.closed.clear();
        assert!(always.is_constant() && !office().is_constant());
        assert!(always.covers(&office()) && !office().covers(&always));
    }
}
