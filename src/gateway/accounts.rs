//! What users may spend: the dial plan's ledger behind one lock, counted at a call's start and end.
//!
//! A call holds its [`Counted`] from the decision to its end, whatever way it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::base::{E164, UserId};
use crate::dialplan::{Alarm, Capped, Caps, Ledger, Number, Region, Window};
use crate::store::Past;
use crate::telemetry::Metrics;
use crate::trunk::Urgency;

/// The ledger of a gateway's users.
pub(super) struct Accounts {
    ledger: Mutex<Ledger>,
    metrics: Arc<Metrics>,
}

/// A call that counts against its user until this is dropped.
pub(super) struct Counted {
    accounts: Arc<Accounts>,
    user: UserId,
    region: Option<Region>,
    talked: Duration,
}

impl Accounts {
    pub fn new(metrics: Arc<Metrics>) -> Arc<Accounts> {
        Arc::new(Accounts { ledger: Mutex::default(), metrics })
    }

    /// Counts a call that starts. An emergency call is counted and never refused.
    ///
    /// # Errors
    /// The cap that is reached; nothing was counted.
    pub fn start(
        self: &Arc<Accounts>,
        now: Instant,
        user: &UserId,
        caps: &Caps,
        region: Option<Region>,
        urgency: Urgency,
    ) -> Result<Counted, Capped> {
        let mut ledger = self.ledger();
        ledger.sweep(now);
        if urgency == Urgency::Normal
            && let Err(capped) = ledger.check(now, user, caps, region)
        {
            self.metrics.call_capped(cap_word(&capped));
            return Err(capped);
        }
        ledger.start(now, user);
        // The brake is for what costs money abroad; help is not a country.
        let region = region.filter(|_| urgency == Urgency::Normal);
        Ok(Counted { accounts: self.clone(), user: user.clone(), region, talked: Duration::ZERO })
    }

    /// Goes on where an earlier run of the gateway stopped: the caps of the last day and the countries
    /// that users have called, from the records. Reads numbers: not on a runtime's thread.
    pub fn recall(&self, now: Instant, wall: Timestamp, past: &Past) {
        let region = |number: &E164| Number::from_e164(number).and_then(|number| number.region);
        // How long ago a moment was; what the monotonic clock cannot say is passed over.
        let ago = |at: Timestamp| {
            let age = Duration::try_from(wall.duration_since(at)).unwrap_or_default();
            now.checked_sub(age)
        };
        let mut ledger = self.ledger();
        for (user, number) in &past.long {
            if let Some(region) = region(number) {
                ledger.familiar(user, region);
            }
        }
        for call in &past.recent {
            let region = call.to.as_ref().and_then(region);
            let (Some(started), Some(ended)) = (ago(call.started_at), ago(call.ended_at)) else {
                continue;
            };
            ledger.recall(started, ended, &call.user, region, call.talked);
        }
    }

    /// Lets a user call a country again that the brake holds.
    pub fn release(&self, user: &UserId, region: Region) {
        self.ledger().release(user, region);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Counters are whole between any two statements.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, alarm: &Alarm) {
        self.metrics.fraud_alarm();
        tracing::error!(
            user.id = %alarm.user,
            region = %alarm.region,
            short_calls = alarm.short_calls,
            "many short calls to a country that is new to the user: further ones are held"
        );
    }
}

impl Counted {
    /// The call is over after it was up for `talked`, nought where it was not answered.
    pub fn ended(mut self, talked: Duration) {
        self.talked = talked;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let accounts = &self.accounts;
        let alarm = accounts.ledger().end(Instant::now(), &self.user, self.region, self.talked);
        if let Some(alarm) = alarm {
            accounts.raise(&alarm);
        }
    }
}

/// When a cap frees by itself, where time alone frees it.
pub(super) fn frees_in(capped: &Capped) -> Option<Duration> {
    match capped {
        Capped::Concurrent(_) => None,
        Capped::Rate { frees_in, .. } | Capped::Held { frees_in, .. } => Some(*frees_in),
    }
}

/// The cap as metrics spell it.
fn cap_word(capped: &Capped) -> &'static str {
    match capped {
        Capped::Concurrent(_) => "concurrent",
        Capped::Rate { window: Window::Minute, .. } => "minute",
        Capped::Rate { window: Window::Hour, .. } => "hour",
        Capped::Rate { window: Window::Day, .. } => "day",
        Capped::Held { .. } => "held",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PastCall;

    const ONE: Caps = Caps { concurrent: 1, per_minute: 9, per_hour: 9, per_day: 9 };

    fn alice() -> UserId {
        "alice".parse().unwrap()
    }

    #[test]
    fn a_call_counts_from_its_start_until_it_is_dropped() {
        let metrics = Arc::new(Metrics::new());
        let accounts = Accounts::new(metrics.clone());
        let start = |urgency| accounts.start(Instant::now(), &alice(), &ONE, None, urgency);
        let first = start(Urgency::Normal).ok().unwrap();
        assert_eq!(start(Urgency::Normal).err(), Some(Capped::Concurrent(1)));
        let emergency = start(Urgency::Emergency).ok().unwrap();
        drop(first);
        assert!(start(Urgency::Normal).is_err(), "the emergency call is a call, too");
        emergency.ended(Duration::ZERO);
        assert!(start(Urgency::Normal).is_ok());
        let line = "crosspoint_calls_capped_total{cap=\"concurrent\"} 2";
        assert!(metrics.render().contains(line), "{}", metrics.render());
    }

    #[test]
    fn caps_and_known_countries_go_on_after_a_restart() {
        let accounts = Accounts::new(Arc::new(Metrics::new()));
        let (now, wall) = (Instant::now(), Timestamp::from_second(1_800_000_000).unwrap());
        let before = |minutes: i64| wall - jiff::SignedDuration::from_mins(minutes);
        let call = |minutes: i64, to: &str, talked: u64| PastCall {
            user: alice(),
            to: to.parse().ok(),
            started_at: before(minutes),
            ended_at: before(minutes) + Duration::from_secs(talked),
            talked: Duration::from_secs(talked),
        };
        let (latvia, estonia) = ("+37167021234", "+3726123456");
        let recent: Vec<PastCall> =
            [50, 45, 44, 43, 42].map(|minutes| call(minutes, latvia, 3)).into();
        let past = Past { long: vec![(alice(), estonia.parse().unwrap())], recent };
        accounts.recall(now, wall, &past);
        let start = |region: &str, caps: Caps| {
            let region = region.parse().ok();
            accounts.start(now, &alice(), &caps, region, Urgency::Normal).map(drop)
        };
        let wide = Caps { concurrent: 9, per_minute: 99, per_hour: 99, per_day: 99 };
        // Held until a day after the fifth short call.
        let Err(Capped::Held { frees_in, .. }) = start("LV", wide) else { panic!("not held") };
        assert_eq!(frees_in.as_secs() / 60, 24 * 60 - 42);
        assert_eq!(start("EE", wide), Ok(()));
        let Err(Capped::Rate { window, calls, .. }) = start("EE", Caps { per_hour: 6, ..wide })
        else {
            panic!("the calls of the last hour do not count")
        };
        assert_eq!((window, calls), (Window::Hour, 6));
        // Estonia is known from long ago: short calls there are nothing new.
        for _ in 0..6 {
            let counted =
                accounts.start(now, &alice(), &wide, "EE".parse().ok(), Urgency::Normal).ok();
            counted.unwrap().ended(Duration::from_secs(3));
        }
        assert_eq!(start("EE", wide), Ok(()));
    }

    #[test]
    fn short_calls_to_a_new_country_raise_one_alarm_and_hold_the_rest() {
        let metrics = Arc::new(Metrics::new());
        let accounts = Accounts::new(metrics.clone());
        let region: Region = "LV".parse().unwrap();
        let call = |urgency| {
            let caps = Caps { per_minute: 99, per_hour: 99, per_day: 99, ..ONE };
            let counted = accounts.start(Instant::now(), &alice(), &caps, Some(region), urgency)?;
            counted.ended(Duration::from_secs(3));
            Ok(())
        };
        for _ in 0..5 {
            assert_eq!(call(Urgency::Normal), Ok(()));
        }
        assert!(matches!(call(Urgency::Normal), Err(Capped::Held { .. })));
        assert_eq!(call(Urgency::Emergency), Ok(()));
        assert!(metrics.render().contains("crosspoint_fraud_alarms_total 1"));
        accounts.release(&alice(), region);
        assert_eq!(call(Urgency::Normal), Ok(()));
    }
}
