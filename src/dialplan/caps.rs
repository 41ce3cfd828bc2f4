//! Caps per user and the fraud brake: how much a stolen account is worth.
//!
//! A cap says which it is and when it frees. The brake holds a user's calls to a country that the
//! user is new to after many short ones there. Emergency calls are never asked about. Pure: `now` is
//! the monotonic clock; the owner tells of starts and ends.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use super::number::Region;
use crate::base::UserId;

/// How much one user may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Calls at once.
    pub concurrent: u32,
    /// New calls a minute.
    pub per_minute: u32,
    /// New calls an hour.
    pub per_hour: u32,
    /// New calls a day.
    pub per_day: u32,
}

impl Default for Caps {
    fn default() -> Caps {
        Caps { concurrent: 2, per_minute: 10, per_hour: 60, per_day: 100 }
    }
}

/// Why a call may not start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capped {
    /// So many calls at once; it frees when one ends.
    Concurrent(u32),
    /// So many new calls in a window; it frees after a time.
    Rate {
        /// The cap.
        calls: u32,
        /// Its window.
        window: Window,
        /// When the next call may start.
        frees_in: Duration,
    },
    /// The brake holds calls to this country.
    Held {
        /// The country.
        region: Region,
        /// When it lets go by itself.
        frees_in: Duration,
    },
}

/// The window of a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Window {
    Minute,
    Hour,
    Day,
}

impl Window {
    fn length(self) -> Duration {
        Duration::from_secs(match self {
            Window::Minute => 60,
            Window::Hour => 3_600,
            Window::Day => 86_400,
        })
    }
}

impl fmt::Display for Capped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capped::Concurrent(calls) => {
                write!(f, "{calls} calls at once is the limit; hang one up first")
            }
            Capped::Rate { calls, window, frees_in } => {
                let window = match window {
                    Window::Minute => "a minute",
                    Window::Hour => "an hour",
                    Window::Day => "a day",
                };
                let seconds = frees_in.as_secs() + u64::from(frees_in.subsec_nanos() > 0);
                write!(f, "{calls} calls {window} is the limit; the next is free in {seconds} s")
            }
            Capped::Held { region, frees_in } => {
                let minutes = frees_in.as_secs().div_ceil(60);
                write!(
                    f,
                    "calls to {region} are held after many short ones; free in {minutes} min, or \
                     sooner by the operator"
                )
            }
        }
    }
}

/// Many short calls to a country that the user is new to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Whose calls.
    pub user: UserId,
    /// Where to.
    pub region: Region,
    /// How many short calls there were within an hour.
    pub short_calls: u32,
}

/// The counters of every user.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    users: BTreeMap<UserId, Account>,
}

#[derive(Debug, Clone, Default)]
struct Account {
    calls: u32,
    /// Starts of the last day, oldest first; never more than `per_day` of them and `STARTS_KEPT`.
    starts: VecDeque<Instant>,
    countries: BTreeMap<Region, Country>,
}

#[derive(Debug, Clone)]
struct Country {
    /// A long call was had there, or records say so: no longer new.
    known: Familiarity,
    /// Ends of short calls of the last hour.
    short: VecDeque<Instant>,
    held_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Familiarity {
    New,
    Known,
}

impl Ledger {
    /// Whether a user may start a call to a region now.
    ///
    /// # Errors
    /// The cap that is reached; of several rates the one that frees last.
    pub fn check(
        &self,
        now: Instant,
        user: &UserId,
        caps: &Caps,
        region: Option<Region>,
    ) -> Result<(), Capped> {
        let Some(account) = self.users.get(user) else {
            return Ok(());
        };
        let country = region.and_then(|region| Some((region, account.countries.get(&region)?)));
        if let Some((region, until)) = country.and_then(|(r, c)| Some((r, c.held_until?)))
            && until > now
        {
            return Err(Capped::Held { region, frees_in: until - now });
        }
        if account.calls >= caps.concurrent {
            return Err(Capped::Concurrent(caps.concurrent));
        }
        let windows = [
            (Window::Minute, caps.per_minute),
            (Window::Hour, caps.per_hour),
            (Window::Day, caps.per_day),
        ];
        let reached = windows.into_iter().filter_map(|(window, calls)| {
            let frees_in = account.full(now, window.length(), calls)?;
            Some((frees_in, Capped::Rate { calls, window, frees_in }))
        });
        match reached.max_by_key(|(frees_in, _)| *frees_in) {
            Some((_, capped)) => Err(capped),
            None => Ok(()),
        }
    }

    /// A call starts; asked for with `check` before, unless it is an emergency call.
    pub fn start(&mut self, now: Instant, user: &UserId) {
        let account = self.users.entry(user.clone()).or_default();
        account.calls = account.calls.saturating_add(1);
        let day = Window::Day.length();
        while account.starts.front().is_some_and(|start| now.duration_since(*start) >= day)
            || account.starts.len() >= STARTS_KEPT
        {
            account.starts.pop_front();
        }
        account.starts.push_back(now);
    }

    /// A call ended after it was up for `talked`, nought where it was not answered.
    pub fn end(
        &mut self,
        now: Instant,
        user: &UserId,
        region: Option<Region>,
        talked: Duration,
    ) -> Option<Alarm> {
        let account = self.users.get_mut(user)?;
        account.calls = account.calls.saturating_sub(1);
        let region = region?;
        let country = account.countries.entry(region).or_insert_with(Country::new);
        if talked >= SHORT {
            country.known = Familiarity::Known;
            country.short.clear();
            return None;
        }
        if country.known == Familiarity::Known || talked.is_zero() {
            return None;
        }
        while country.short.front().is_some_and(|end| now.duration_since(*end) >= BRAKE_WINDOW) {
            country.short.pop_front();
        }
        country.short.push_back(now);
        if country.short.len() < BRAKE_CALLS {
            return None;
        }
        let short_calls = u32::try_from(country.short.len()).unwrap_or(u32::MAX);
        country.short.clear();
        country.held_until = Some(now + HOLD);
        Some(Alarm { user: user.clone(), region, short_calls })
    }

    /// A call of the past, as the records have it: told oldest first, before any call starts, so that
    /// caps and the brake go on where they were. `ended` is when it was over.
    pub fn recall(
        &mut self,
        started: Instant,
        ended: Instant,
        user: &UserId,
        region: Option<Region>,
        talked: Duration,
    ) {
        self.start(started, user);
        self.end(ended, user, region, talked);
    }

    /// The user has called there before, as the records have it.
    pub fn familiar(&mut self, user: &UserId, region: Region) {
        let account = self.users.entry(user.clone()).or_default();
        account.countries.entry(region).or_insert_with(Country::new).known = Familiarity::Known;
    }

    /// The operator lets a user call a country again.
    pub fn release(&mut self, user: &UserId, region: Region) {
        if let Some(account) = self.users.get_mut(user)
            && let Some(country) = account.countries.get_mut(&region)
        {
            *country = Country { known: Familiarity::Known, ..Country::new() };
        }
    }

    /// Forgets users without a call in progress, a start of the last day or a country.
    pub fn sweep(&mut self, now: Instant) {
        let day = Window::Day.length();
        self.users.retain(|_, account| {
            let recent = account.starts.back().is_some_and(|s| now.duration_since(*s) < day);
            account.calls > 0 || recent || !account.countries.is_empty()
        });
    }
}

impl Account {
    /// When a cap of `calls` within `window` frees, `None` where it is not reached.
    fn full(&self, now: Instant, window: Duration, calls: u32) -> Option<Duration> {
        let recent = self.starts.iter().rev();
        let recent = recent.take_while(|start| now.duration_since(**start) < window);
        let deciding = recent.take(calls as usize).enumerate().last();
        match deciding {
            Some((index, start)) if index + 1 == calls as usize => {
                Some(window.saturating_sub(now.duration_since(*start)))
            }
            _ => None,
        }
    }
}

impl Country {
    fn new() -> Country {
        Country { known: Familiarity::New, short: VecDeque::new(), held_until: None }
    }
}

/// A call that is answered and shorter than this is short: fraud pays by the call or tries numbers.
pub const SHORT: Duration = Duration::from_secs(15);
const BRAKE_CALLS: usize = 5;
const BRAKE_WINDOW: Duration = Duration::from_secs(3_600);
const HOLD: Duration = Duration::from_secs(86_400);
/// The most starts kept for a user, whatever the caps: 8 bytes each.
const STARTS_KEPT: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    fn at(seconds: u64) -> Instant {
        epoch() + Duration::from_secs(seconds)
    }

    fn alice() -> UserId {
        "alice".parse().unwrap()
    }

    const WIDE: Caps = Caps { concurrent: 9, per_minute: 100, per_hour: 100, per_day: 100 };

    #[test]
    fn each_cap_says_which_it_is_and_when_it_frees() {
        let caps = Caps { concurrent: 2, per_minute: 3, per_hour: 4, per_day: 5 };
        let mut ledger = Ledger::default();
        let mut try_call = |seconds: u64, keep: bool| {
            let allowed = ledger.check(at(seconds), &alice(), &caps, None);
            if allowed.is_ok() {
                ledger.start(at(seconds), &alice());
                if !keep {
                    ledger.end(at(seconds), &alice(), None, Duration::ZERO);
                }
            }
            allowed.err().map(|capped| capped.to_string())
        };
        for seconds in [0, 10, 20] {
            assert_eq!(try_call(seconds, false), None);
        }
        let minute = "3 calls a minute is the limit; the next is free in 30 s";
        assert_eq!(try_call(30, false).as_deref(), Some(minute));
        assert_eq!(try_call(60, false), None);
        let hour = "4 calls an hour is the limit; the next is free in 3500 s";
        assert_eq!(try_call(100, false).as_deref(), Some(hour));
        assert_eq!(try_call(3_600, true), None);
        let day = "5 calls a day is the limit; the next is free in 79200 s";
        assert_eq!(try_call(7_200, false).as_deref(), Some(day));
        assert_eq!(try_call(86_400, true), None);
        let once = "2 calls at once is the limit; hang one up first";
        assert_eq!(try_call(86_500, false).as_deref(), Some(once));
    }

    #[test]
    fn many_short_calls_to_a_new_country_are_held_and_told() {
        let region: Region = "LV".parse().unwrap();
        let mut ledger = Ledger::default();
        let call = |ledger: &mut Ledger, seconds: u64, talked: u64| {
            ledger.start(at(seconds), &alice());
            ledger.end(at(seconds), &alice(), Some(region), Duration::from_secs(talked))
        };
        for seconds in [0, 60, 120, 180] {
            assert_eq!(call(&mut ledger, seconds, 3), None);
        }
        let alarm = call(&mut ledger, 240, 3).unwrap();
        assert_eq!((alarm.region, alarm.short_calls), (region, 5));
        let held = ledger.check(at(300), &alice(), &WIDE, Some(region)).unwrap_err();
        assert_eq!(held, Capped::Held { region, frees_in: Duration::from_secs(86_340) });
        assert_eq!(ledger.check(at(300), &alice(), &WIDE, Some("DE".parse().unwrap())), Ok(()));
        ledger.release(&alice(), region);
        assert_eq!(ledger.check(at(300), &alice(), &WIDE, Some(region)), Ok(()));
        for seconds in [400, 401, 402, 403, 404, 405] {
            assert_eq!(call(&mut ledger, seconds, 3), None, "released is known");
        }
    }

    #[test]
    fn a_country_with_a_real_call_is_known_and_slow_ones_do_not_count() {
        let region: Region = "LV".parse().unwrap();
        let mut ledger = Ledger::default();
        let talks = [3, 3, 3, 60, 3, 3, 3, 3, 3];
        for (index, talked) in talks.into_iter().enumerate() {
            let now = at(index as u64 * 10);
            ledger.start(now, &alice());
            let alarm = ledger.end(now, &alice(), Some(region), Duration::from_secs(talked));
            assert_eq!(alarm, None);
        }
        let other: Region = "EE".parse().unwrap();
        for index in 0..10 {
            let now = at(10_000 + index * 1_000);
            ledger.start(now, &alice());
            assert_eq!(ledger.end(now, &alice(), Some(other), Duration::from_secs(3)), None);
        }
    }

    #[test]
    fn memory_is_given_back() {
        let mut ledger = Ledger::default();
        for n in 0..100 {
            let user: UserId = format!("u{n}").parse().unwrap();
            ledger.start(at(0), &user);
            ledger.end(at(1), &user, None, Duration::ZERO);
        }
        ledger.sweep(at(10));
        assert_eq!(ledger.users.len(), 100);
        ledger.sweep(at(86_400));
        assert_eq!(ledger.users.len(), 0);
    }
}
