//! The metrics of one gateway, rendered as OpenMetrics text, which Prometheus reads.
//!
//! Names are the product's (`crosspoint_…`, base units) and stay. A label's value comes from a small
//! fixed set: never a number, a user or a call.

use std::fmt::Write;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::lateness::{Lateness, TickLateness};

/// All metrics. Every method may be called from any thread and does not wait.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls_active: Family<Labels<1>, Gauge>,
    calls: Family<Labels<2>, Counter>,
    call_setup: Histogram,
    rtp_ports_in_use: Gauge,
    sip_transactions: Family<Labels<1>, Gauge>,
    dialogs: Gauge,
    media_sessions: Gauge,
    media_busy: Gauge,
    opus_complexity: Gauge,
    media_tick_late: Lateness,
    call_mos: Family<Labels<1>, Histogram, fn() -> Histogram>,
    silent_sides: Family<Labels<1>, Counter>,
    spool_bytes: Gauge,
    spool_unwritten: Gauge,
    spool_behind: Gauge,
    spool_damaged: Counter,
    records_lost: Counter,
    recordings_active: Gauge,
    recordings: Family<Labels<1>, Counter>,
    recording_lost: Counter<f64, AtomicU64>,
    panics_caught: Counter,
    calls_capped: Family<Labels<1>, Counter>,
    fraud_alarms: Counter,
    plan_reloads: Family<Labels<1>, Counter>,
    drops: Family<Labels<1>, Counter>,
    webhook_deliveries: Family<Labels<1>, Counter>,
    dtmf_tones: Family<Labels<3>, Counter>,
    auth_failures: Family<Labels<1>, Counter>,
    trunk_up: Family<TrunkLabel, Gauge>,
    trunk_registered: Family<TrunkLabel, Gauge>,
}

/// What is counted elsewhere and read just before the metrics are rendered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// UDP ports that RTP legs hold.
    pub rtp_ports_in_use: u64,
    /// SIP transactions by state (`trying`, `proceeding`, `completed`, `accepted`, `confirmed`).
    pub sip_transactions: [(&'static str, u64); 5],
    /// SIP dialogs.
    pub dialogs: u64,
    /// Calls that media workers hold.
    pub media_sessions: u64,
    /// How busy the busiest media worker is, in thousandths.
    pub media_busy: u64,
    /// The least complexity of Opus in force.
    pub opus_complexity: u64,
    /// Media ticks so far by lateness, counted by the workers.
    pub media_tick_late: TickLateness,
    /// Bytes of records that are not in SQL yet.
    pub spool_bytes: u64,
    /// Bytes of records that the spool's disk did not take.
    pub spool_unwritten_bytes: u64,
    /// For how many seconds nothing went into SQL though something waits.
    pub spool_behind_s: u64,
    /// Lines of the spool that could not be read.
    pub spool_damaged: u64,
    /// Records that had room nowhere.
    pub records_lost: u64,
    /// Recordings that are being written.
    pub recordings: u64,
    /// Recordings that were ended.
    pub recordings_kept: u64,
    /// Recordings that could not be written.
    pub recordings_failed: u64,
    /// Sound that recordings lack, in ms.
    pub recording_lost_ms: u64,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("crosspoint");
        let metrics = Metrics {
            calls_active: Family::default(),
            calls: Family::default(),
            call_setup: Histogram::new(SETUP_BUCKETS),
            rtp_ports_in_use: Gauge::default(),
            sip_transactions: Family::default(),
            dialogs: Gauge::default(),
            media_sessions: Gauge::default(),
            media_busy: Gauge::default(),
            opus_complexity: Gauge::default(),
            media_tick_late: Lateness::default(),
            call_mos: Family::new_with_constructor(|| Histogram::new(MOS_BUCKETS)),
            silent_sides: Family::default(),
            spool_bytes: Gauge::default(),
            spool_unwritten: Gauge::default(),
            spool_behind: Gauge::default(),
            spool_damaged: Counter::default(),
            records_lost: Counter::default(),
            recordings_active: Gauge::default(),
            recordings: Family::default(),
            recording_lost: Counter::default(),
            panics_caught: Counter::default(),
            calls_capped: Family::default(),
            fraud_alarms: Counter::default(),
            plan_reloads: Family::default(),
            drops: Family::default(),
            webhook_deliveries: Family::default(),
            dtmf_tones: Family::default(),
            auth_failures: Family::default(),
            trunk_up: Family::default(),
            trunk_registered: Family::default(),
            registry: Registry::default(),
        };
        // The crate adds the full stop of the help text and the `_total` of a counter's name.
        registry.register("calls_active", "Calls in progress", metrics.calls_active.clone());
        registry.register("calls", "Calls that ended, by result", metrics.calls.clone());
        registry.register(
            "call_setup_seconds",
            "From the start of a call to its answer",
            metrics.call_setup.clone(),
        );
        registry.register(
            "rtp_ports_in_use",
            "UDP ports that RTP legs hold",
            metrics.rtp_ports_in_use.clone(),
        );
        registry.register(
            "sip_transactions",
            "SIP transactions by state",
            metrics.sip_transactions.clone(),
        );
        registry.register("dialogs", "SIP dialogs", metrics.dialogs.clone());
        registry.register(
            "media_sessions",
            "Calls that media workers hold",
            metrics.media_sessions.clone(),
        );
        registry.register(
            "media_worker_busy_permille",
            "How much of the last second the busiest media worker worked, in thousandths",
            metrics.media_busy.clone(),
        );
        registry.register(
            "opus_complexity",
            "Complexity of Opus toward browsers where the load has lowered it most",
            metrics.opus_complexity.clone(),
        );
        registry.register_collector(Box::new(metrics.media_tick_late.clone()));
        registry.register(
            "call_mos",
            "Estimated opinion score (ITU-T G.107) of what came from each side of a call",
            metrics.call_mos.clone(),
        );
        registry.register(
            "call_silent_sides",
            "Sides of answered calls of 5 s or more that sent not one packet of sound",
            metrics.silent_sides.clone(),
        );
        registry.register("trunk_up", "Whether a trunk is sent calls", metrics.trunk_up.clone());
        registry.register(
            "trunk_registered",
            "Whether a trunk that registers is registered",
            metrics.trunk_registered.clone(),
        );
        registry.register(
            "spool_bytes",
            "Records that are not in the database yet",
            metrics.spool_bytes.clone(),
        );
        registry.register(
            "spool_unwritten_bytes",
            "Records that the disk of the spool does not take, in memory alone",
            metrics.spool_unwritten.clone(),
        );
        registry.register(
            "spool_behind_seconds",
            "For how long the database has taken nothing though records wait",
            metrics.spool_behind.clone(),
        );
        registry.register(
            "spool_damaged_lines",
            "Lines of the spool that could not be read, set aside",
            metrics.spool_damaged.clone(),
        );
        registry.register(
            "records_lost",
            "Records that neither the disk nor the memory had room for",
            metrics.records_lost.clone(),
        );
        registry.register(
            "recordings_active",
            "Recordings that are being written",
            metrics.recordings_active.clone(),
        );
        registry.register("recordings", "Recordings, by result", metrics.recordings.clone());
        registry.register(
            "recording_lost_seconds",
            "Sound that recordings lack, for the disk did not take it in time",
            metrics.recording_lost.clone(),
        );
        registry.register(
            "panics_caught",
            "Calls that ended by a fault of the gateway",
            metrics.panics_caught.clone(),
        );
        registry.register(
            "calls_capped",
            "Calls that a cap of their user refused",
            metrics.calls_capped.clone(),
        );
        registry.register(
            "fraud_alarms",
            "Many short calls to a country that is new to the user",
            metrics.fraud_alarms.clone(),
        );
        registry.register(
            "dialplan_reloads",
            "Reloads of the dial plan, by result",
            metrics.plan_reloads.clone(),
        );
        registry.register(
            "webhook_deliveries",
            "Deliveries of webhooks that are over, by result",
            metrics.webhook_deliveries.clone(),
        );
        registry.register("drops", "Packets and messages dropped", metrics.drops.clone());
        registry.register("dtmf_tones", "Digits, by leg and mode", metrics.dtmf_tones.clone());
        registry.register(
            "auth_failures",
            "Wrong keys of the API, by the way they came; refused without a look after many",
            metrics.auth_failures.clone(),
        );
        metrics.begin_at_zero();
        Metrics { registry, ..metrics }
    }

    /// A counter that is not there before its first event has no increase then, and no alert sees it.
    fn begin_at_zero(&self) {
        fn zero(family: &Family<Labels<1>, Counter>, label: &'static str, values: &[&'static str]) {
            values.iter().for_each(|value| drop(family.get_or_create(&[(label, *value)])));
        }
        zero(&self.plan_reloads, "result", &["taken", "refused"]);
        zero(&self.webhook_deliveries, "result", &["delivered", "failed", "dropped"]);
        zero(&self.drops, "reason", &DROPS);
        zero(&self.auth_failures, "way", &["login", "bearer", "refused"]);
        zero(&self.silent_sides, "side", &["caller", "callee"]);
        zero(&self.calls_capped, "cap", &["concurrent", "minute", "hour", "day", "held"]);
        for mode in MODES {
            for (leg, direction) in [("browser", "in"), ("trunk", "in"), ("trunk", "out")] {
                let labels = [("leg", leg), ("direction", direction), ("mode", mode)];
                drop(self.dtmf_tones.get_or_create(&labels));
            }
        }
    }

    /// A call began.
    pub fn call_started(&self, direction: &'static str) {
        self.calls_active.get_or_create(&[("direction", direction)]).inc();
    }

    /// A call was answered this long after it began.
    pub fn call_answered(&self, after: Duration) {
        self.call_setup.observe(after.as_secs_f64());
    }

    /// A call ended; `result` is the cause's name.
    pub fn call_ended(&self, direction: &'static str, result: &'static str) {
        self.calls_active.get_or_create(&[("direction", direction)]).dec();
        self.calls.get_or_create(&[("direction", direction), ("result", result)]).inc();
    }

    /// A call ended whose side (`caller`, `callee`) sounded like this, 1.0 to 4.5.
    pub fn call_mos(&self, side: &'static str, mos: f64) {
        self.call_mos.get_or_create(&[("side", side)]).observe(mos);
    }

    /// A call of some seconds ended of which this side (`caller`, `callee`) sent no sound at all.
    pub fn silent_side(&self, side: &'static str) {
        self.silent_sides.get_or_create(&[("side", side)]).inc();
    }

    /// A panic ended one call.
    pub fn panic_caught(&self) {
        self.panics_caught.inc();
    }

    /// A cap refused a call (`cap` = `concurrent`, `minute`, `hour`, `day`, `held`).
    pub fn call_capped(&self, cap: &'static str) {
        self.calls_capped.get_or_create(&[("cap", cap)]).inc();
    }

    /// The fraud brake was pulled.
    pub fn fraud_alarm(&self) {
        self.fraud_alarms.inc();
    }

    /// A dial plan was loaded while the gateway runs (`result` = `taken`, `refused`).
    pub fn plan_reloaded(&self, result: &'static str) {
        self.plan_reloads.get_or_create(&[("result", result)]).inc();
    }

    /// A delivery of a webhook is over (`result` = `delivered`, `failed`, `dropped`).
    pub fn webhook_delivery(&self, result: &'static str) {
        self.webhook_deliveries.get_or_create(&[("result", result)]).inc();
    }

    /// Packets or messages were dropped for this reason.
    pub fn dropped(&self, reason: &'static str, count: u64) {
        self.drops.get_or_create(&[("reason", reason)]).inc_by(count);
    }

    /// A digit was received or sent (`direction` = `in`, `out`) on a leg (`browser`, `trunk`).
    pub fn dtmf_tone(&self, leg: &'static str, direction: &'static str, mode: &'static str) {
        self.dtmf_tones
            .get_or_create(&[("leg", leg), ("direction", direction), ("mode", mode)])
            .inc();
    }

    /// A wrong key was shown (`way` = `login`, `bearer`), or a key was not looked at (`refused`).
    pub fn auth_failed(&self, way: &'static str) {
        self.auth_failures.get_or_create(&[("way", way)]).inc();
    }

    /// How a trunk stands; `registered` is `None` where it does not register.
    pub fn trunk(&self, id: &str, up: bool, registered: Option<bool>) {
        let label = || vec![("trunk".to_owned(), id.to_owned())];
        self.trunk_up.get_or_create(&label()).set(up.into());
        if let Some(registered) = registered {
            self.trunk_registered.get_or_create(&label()).set(registered.into());
        }
    }

    /// Takes what is counted elsewhere.
    pub fn set(&self, gauges: &Gauges) {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.rtp_ports_in_use, gauges.rtp_ports_in_use);
        set(&self.dialogs, gauges.dialogs);
        set(&self.media_sessions, gauges.media_sessions);
        set(&self.media_busy, gauges.media_busy);
        set(&self.opus_complexity, gauges.opus_complexity);
        self.media_tick_late.set(&gauges.media_tick_late);
        set(&self.spool_bytes, gauges.spool_bytes);
        set(&self.spool_unwritten, gauges.spool_unwritten_bytes);
        set(&self.spool_behind, gauges.spool_behind_s);
        for (counter, count) in
            [(&self.spool_damaged, gauges.spool_damaged), (&self.records_lost, gauges.records_lost)]
        {
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        set(&self.recordings_active, gauges.recordings);
        for (result, count) in
            [("kept", gauges.recordings_kept), ("failed", gauges.recordings_failed)]
        {
            let own = self.recordings.get_or_create(&[("result", result)]);
            own.inc_by(count.saturating_sub(own.get()));
        }
        let lost = gauges.recording_lost_ms as f64 / 1000.0;
        self.recording_lost.inc_by((lost - self.recording_lost.get()).max(0.0));
        // Frames of 20 ms that the queue to the disk did not take.
        let own = self.drops.get_or_create(&[("reason", "recording")]);
        own.inc_by((gauges.recording_lost_ms / 20).saturating_sub(own.get()));
        for (state, count) in gauges.sip_transactions.into_iter().filter(|(s, _)| !s.is_empty()) {
            set(&self.sip_transactions.get_or_create(&[("state", state)]), count);
        }
    }

    /// All metrics as text of [`Metrics::CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut out = String::new();
        if text::encode(&mut out, &self.registry).is_err() {
            let _ = writeln!(out, "# EOF");
        }
        out
    }

    /// The media type of [`Metrics::render`].
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

/// The name of a trunk in the configuration.
type TrunkLabel = Vec<(String, String)>;

/// Label names and values, all of fixed sets.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Why packets and messages are dropped.
const DROPS: [&str; 10] = [
    "rtp-foreign",
    "rtp-malformed",
    "digits",
    "recording",
    "hep",
    "otlp",
    "http-stalled",
    "http-displaced",
    "http-address",
    "http-full",
];

/// How digits go.
const MODES: [&str; 4] = ["rfc4733", "info", "inband", "message"];

/// Seconds. An echo line answers in tens of ms, a person within a minute.
const SETUP_BUCKETS: [f64; 12] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0];

/// Below 3.1 nearly all users are dissatisfied (ITU-T G.107 annex B); G.711 at its best has 4.41.
const MOS_BUCKETS: [f64; 8] = [1.5, 2.0, 2.6, 3.1, 3.6, 4.0, 4.2, 4.4];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_contract_is_rendered() {
        let metrics = Metrics::new();
        metrics.call_started("outbound");
        metrics.call_started("outbound");
        metrics.call_answered(Duration::from_millis(300));
        metrics.call_ended("outbound", "busy");
        metrics.panic_caught();
        metrics.call_mos("caller", 4.1);
        metrics.silent_side("callee");
        metrics.call_capped("held");
        metrics.fraud_alarm();
        metrics.webhook_delivery("dropped");
        metrics.plan_reloaded("refused");
        metrics.dropped("rtp-foreign", 7);
        metrics.dtmf_tone("browser", "in", "rfc4733");
        metrics.trunk("north", true, Some(false));
        let mut sip_transactions = [("", 0); 5];
        sip_transactions[0] = ("proceeding", 2);
        metrics.set(&Gauges {
            rtp_ports_in_use: 4,
            sip_transactions,
            dialogs: 1,
            media_sessions: 1,
            media_busy: 250,
            opus_complexity: 5,
            media_tick_late: TickLateness {
                upper_us: [500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000],
                counts: [9, 0, 0, 1, 0, 0, 0, 0, 1],
                sum_us: 204_000,
            },
            spool_bytes: 600,
            spool_unwritten_bytes: 700,
            spool_behind_s: 12,
            spool_damaged: 2,
            records_lost: 1,
            recordings: 2,
            recordings_kept: 5,
            recordings_failed: 1,
            recording_lost_ms: 1500,
        });
        let text = metrics.render();
        for line in [
            "crosspoint_calls_active{direction=\"outbound\"} 1",
            "crosspoint_calls_total{direction=\"outbound\",result=\"busy\"} 1",
            "crosspoint_call_setup_seconds_bucket{le=\"0.5\"} 1",
            "crosspoint_call_setup_seconds_sum 0.3",
            "crosspoint_rtp_ports_in_use 4",
            "crosspoint_sip_transactions{state=\"proceeding\"} 2",
            "crosspoint_dialogs 1",
            "crosspoint_media_sessions 1",
            "crosspoint_media_worker_busy_permille 250",
            "crosspoint_opus_complexity 5",
            "crosspoint_media_tick_late_seconds_bucket{le=\"0.0005\"} 9",
            "crosspoint_media_tick_late_seconds_bucket{le=\"0.005\"} 10",
            "crosspoint_media_tick_late_seconds_bucket{le=\"+Inf\"} 11",
            "crosspoint_media_tick_late_seconds_count 11",
            "crosspoint_media_tick_late_seconds_sum 0.204",
            "crosspoint_call_mos_bucket{le=\"4.2\",side=\"caller\"} 1",
            "crosspoint_call_silent_sides_total{side=\"callee\"} 1",
            "crosspoint_spool_bytes 600",
            "crosspoint_spool_unwritten_bytes 700",
            "crosspoint_spool_behind_seconds 12",
            "crosspoint_spool_damaged_lines_total 2",
            "crosspoint_records_lost_total 1",
            "crosspoint_recordings_active 2",
            "crosspoint_recordings_total{result=\"kept\"} 5",
            "crosspoint_recordings_total{result=\"failed\"} 1",
            "crosspoint_recording_lost_seconds_total 1.5",
            "crosspoint_drops_total{reason=\"recording\"} 75",
            "crosspoint_panics_caught_total 1",
            "crosspoint_calls_capped_total{cap=\"held\"} 1",
            "crosspoint_fraud_alarms_total 1",
            "crosspoint_dialplan_reloads_total{result=\"refused\"} 1",
            "crosspoint_dialplan_reloads_total{result=\"taken\"} 0",
            "crosspoint_webhook_deliveries_total{result=\"dropped\"} 1",
            "crosspoint_drops_total{reason=\"digits\"} 0",
            "crosspoint_trunk_up{trunk=\"north\"} 1",
            "crosspoint_trunk_registered{trunk=\"north\"} 0",
            "crosspoint_drops_total{reason=\"rtp-foreign\"} 7",
            "crosspoint_dtmf_tones_total{leg=\"browser\",direction=\"in\",mode=\"rfc4733\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
