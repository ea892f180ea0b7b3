//! The fault scenarios. Each act has its own Envoy.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::clock::Clock;
use crate::fault::Fault;
use crate::load::{Connections, Load};
use crate::scene::{CLIENT, Configuration, START, Scene, Setting, Special};
use crate::tally::{Counts, Tally};
use crate::truth::{HEALING, RULES_EITHER, RULES_NEW, TIMEOUT};

/// The counts of one Envoy run.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) title: &'static str,
    pub(crate) phases: Vec<Counts>,
    /// Requests and callouts that were still in flight at the end.
    pub(crate) leftovers: Vec<(String, u64)>,
    /// Other failures.
    pub(crate) findings: Vec<String>,
}

/// A running act.
struct Stage<'s> {
    setting: &'s Setting,
    scene: Scene,
    load: Load,
    title: &'static str,
    phases: Vec<(Arc<Tally>, u64)>,
    findings: Vec<String>,
}

impl<'s> Stage<'s> {
    fn open(setting: &'s Setting, title: &'static str, special: Special) -> Result<Self> {
        eprintln!("{title}");
        let scene = Scene::set(setting, special)?;
        let load = scene.load(setting.rates, Connections::AsNeeded)?;
        let mut stage = Self { setting, scene, load, title, phases: Vec::new(), findings: Vec::new() };
        // Envoy compiles the module a second time, for speed, while the first requests come.
        stage.hold("warm-up", WARM_UP)?.counts().is_held = false;
        Ok(stage)
    }

    fn begin(&mut self, name: &str) -> Result<Arc<Tally>> {
        eprintln!("  {name}");
        let tally = self.load.begin(name)?;
        self.phases.push((Arc::clone(&tally), self.scene.restarts()?));
        Ok(tally)
    }

    /// A phase in which nothing changes.
    fn hold(&mut self, name: &str, time: Duration) -> Result<Arc<Tally>> {
        let tally = self.begin(name)?;
        std::thread::sleep(time);
        Ok(tally)
    }

    fn is_wanted(&self, fault: &str) -> bool {
        self.setting.only_fault.as_ref().is_none_or(|only| fault.contains(only.as_str()))
    }

    /// The identity server has a fault for a while, then it recovers.
    fn fault(&mut self, name: &str, fault: Fault) -> Result<()> {
        self.trouble(name, fault.is_lost(), |scene, time| {
            scene.server.set(fault);
            std::thread::sleep(time);
            scene.server.set(Fault::Nothing);
            Ok(())
        })
    }

    /// The identity server fails, then it recovers. `is_lost`: it is unavailable, so stale-if-error applies.
    fn trouble(
        &mut self,
        name: &str,
        is_lost: bool,
        meanwhile: impl FnOnce(&Scene, Duration) -> Result<()>,
    ) -> Result<()> {
        if !self.is_wanted(name) {
            return Ok(());
        }
        self.begin(name)?;
        self.scene.world.begin_trouble(is_lost);
        meanwhile(&self.scene, self.setting.fault)?;
        self.recover(name)
    }

    /// The identity server works again from now on.
    fn recover(&mut self, name: &str) -> Result<()> {
        self.scene.world.end_trouble();
        self.hold(&format!("{name}: after it"), self.recovery())?;
        Ok(())
    }

    /// How many requests have passed by a stale cache entry.
    fn stale_passed(&self) -> Result<u64> {
        self.scene.envoy.counter("wasmcustom.scopegate.cache.result.stale")
    }

    fn recovery(&self) -> Duration {
        HEALING + (self.setting.fault / 4).max(Duration::from_secs(2))
    }

    fn close(mut self) -> Result<Act> {
        self.load.end()?;
        let leftovers = self.scene.settled_leftovers()?;
        if !self.scene.envoy.is_running()? {
            self.findings.push(format!("Envoy has ended:\n{}", self.scene.envoy.log_tail()));
        }
        let restarts: Vec<u64> = self.phases.iter().map(|(_, before)| *before).skip(1).collect();
        let restarts = restarts.into_iter().chain([self.scene.restarts()?]);
        let count = |((tally, before), after): (&(Arc<Tally>, u64), u64)| {
            let mut counts = tally.counts().clone();
            counts.restarts = after.saturating_sub(*before);
            counts
        };
        let phases = self.phases.iter().zip(restarts).map(count).collect();
        Ok(Act { title: self.title, phases, leftovers, findings: self.findings })
    }
}

/// The identity server itself fails.
pub(crate) fn identity_server(setting: &Setting) -> Result<Act> {
    let mut stage = Stage::open(setting, "The identity server fails", Special::default())?;
    stage.hold("nothing is wrong", setting.fault)?;
    let faults = [
        ("killed", Fault::Killed),
        ("hanging", Fault::Hanging),
        ("slow to the byte", Fault::Dripping),
        ("resetting within the body", Fault::Resetting),
        ("closing without a byte", Fault::Closing),
        ("answering 500", Fault::Status(500)),
        ("answering 401", Fault::Status(401)),
        ("answering 429", Fault::Status(429)),
        ("answering 302", Fault::Redirecting),
        ("answering HTML with 200", Fault::Html),
        ("answering garbage", Fault::Garbage),
    ];
    for (name, fault) in faults {
        stage.fault(name, fault)?;
    }
    stage.trouble("flapping, every 500 ms", false, |scene, time| {
        let end = Instant::now() + time;
        while Instant::now() < end {
            for fault in [Fault::Killed, Fault::Nothing] {
                scene.server.set(fault);
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        Ok(())
    })?;
    stage.close()
}

/// Stale cache entries are used while the identity server is unavailable, but not if it rejects the gateway.
pub(crate) fn stale(setting: &Setting) -> Result<Act> {
    // Shorter than each fault, so that the end of stale-if-error is tested, too.
    let special = Special { stale_if_error: setting.fault / 3, ..Special::default() };
    let mut stage = Stage::open(setting, "What was last known may do for a while", special)?;
    stage.hold("nothing is wrong", setting.fault / 2)?;
    for (name, fault) in [
        ("killed, stale answers do", Fault::Killed),
        ("hanging, stale answers do", Fault::Hanging),
        ("resetting within the body, stale answers do", Fault::Resetting),
        ("answering 503, stale answers do", Fault::Status(503)),
        ("answering 401, stale answers do not", Fault::Status(401)),
        ("answering garbage, stale answers do", Fault::Garbage),
    ] {
        let before = stage.stale_passed()?;
        stage.fault(name, fault)?;
        let passed = stage.stale_passed()? - before;
        if stage.is_wanted(name) && (passed > 0) != fault.is_lost() {
            stage.findings.push(format!("{name}: {passed} requests have passed by them"));
        }
    }
    stage.close()
}

/// Envoy's own fault filter stands between Envoy and the identity server.
pub(crate) fn fault_filter(setting: &Setting) -> Result<Act> {
    let special = Special { is_faulty_between: true, ..Special::default() };
    let mut stage = Stage::open(setting, "Envoy's fault filter in front of the identity server", special)?;
    stage.hold("nothing is wrong", setting.fault / 2)?;
    let faults = [
        ("abort with 503, all", "abort.abort_percent=100&fault.http.abort.http_status=503"),
        ("abort with 429, half", "abort.abort_percent=50&fault.http.abort.http_status=429"),
        ("delay of 3 s, all", "delay.fixed_delay_percent=100&fault.http.delay.fixed_duration_ms=3000"),
        ("delay of 3 s, a tenth", "delay.fixed_delay_percent=10&fault.http.delay.fixed_duration_ms=3000"),
    ];
    let runtime = |scene: &Scene, keys: &str| scene.envoy.change(&format!("/runtime_modify?fault.http.{keys}"));
    let none = "abort.abort_percent=0&fault.http.delay.fixed_delay_percent=0";
    for (name, keys) in faults {
        stage.trouble(name, false, |scene, time| {
            runtime(scene, keys)?;
            std::thread::sleep(time);
            runtime(scene, none)
        })?;
    }
    // Slower than usual, but within the timeout: no request may fail.
    runtime(&stage.scene, "delay.fixed_delay_percent=100&fault.http.delay.fixed_duration_ms=300")?;
    stage.hold("delay of 300 ms, all", setting.fault)?;
    stage.close()
}

/// The identity server comes back after an hour, and the clock goes back by an hour.
pub(crate) fn an_hour(setting: &Setting) -> Result<Act> {
    let clock = Clock::new()?;
    let special = Special { environment: clock.environment(), ..Special::default() };
    let mut stage = Stage::open(setting, "An hour passes", special)?;
    stage.hold("nothing is wrong", setting.fault / 2)?;
    stage.begin("killed")?;
    stage.scene.world.begin_trouble(false);
    stage.scene.server.set(Fault::Killed);
    std::thread::sleep(setting.fault / 2);
    let jump = |stage: &mut Stage<'_>, name: &str, ahead: i64, time: Duration| -> Result<()> {
        stage.begin(name)?;
        clock.set(ahead, &stage.scene.world)?;
        std::thread::sleep(time);
        Ok(())
    };
    jump(&mut stage, "killed, an hour later", HOUR, setting.fault)?;
    stage.scene.server.set(Fault::Nothing);
    stage.recover("killed, an hour later")?;
    let asked = stage.scene.server.keys_asked();
    // The keys are fetched every five seconds.
    let time = setting.fault.max(Duration::from_secs(12));
    jump(&mut stage, "the clock goes back by an hour", 0, time)?;
    if stage.scene.server.keys_asked() == asked {
        stage.findings.push("the clock goes back by an hour: the keys are not fetched any more".to_owned());
    }
    stage.begin("killed again")?;
    stage.scene.world.begin_trouble(false);
    stage.scene.server.set(Fault::Killed);
    std::thread::sleep(setting.fault / 2);
    // No timer may wait for an hour after this jump.
    jump(&mut stage, "killed, an hour later again", HOUR, setting.fault / 2)?;
    jump(&mut stage, "killed, the clock goes back", 0, setting.fault / 2)?;
    stage.scene.server.set(Fault::Nothing);
    stage.recover("killed, the clock goes back")?;
    jump(&mut stage, "an hour later", HOUR, setting.fault / 2)?;
    stage.begin("hanging")?;
    stage.scene.world.begin_trouble(false);
    stage.scene.server.set(Fault::Hanging);
    // Callouts are in flight when the clock goes back. Their timeout must not become an hour.
    std::thread::sleep(TIMEOUT / 2);
    jump(&mut stage, "hanging, the clock goes back", 0, setting.fault.max(Duration::from_secs(8)))?;
    stage.scene.server.set(Fault::Nothing);
    stage.recover("hanging, the clock goes back")?;
    stage.close()
}

/// The configuration is changed under load.
pub(crate) fn swap(setting: &Setting) -> Result<Act> {
    let special = Special { arguments: vec!["--drain-time-s".to_owned(), "5".to_owned()], ..Special::default() };
    let mut stage = Stage::open(setting, "The configuration is changed", special)?;
    stage.hold("nothing is wrong", setting.fault / 2)?;
    let rules = Configuration { requirement: "new", ..START };
    let secret = Configuration { secret: "another", ..rules };
    let server = Configuration { cluster: "other_identity", ..secret };
    let rules_of = |stage: &Stage<'_>, state| stage.scene.world.rules.store(state, Ordering::Relaxed);
    for (name, configuration) in
        [("other rules", rules), ("another client secret", secret), ("another authorization server", server)]
    {
        stage.begin(&format!("{name}: being taken"))?;
        stage.scene.world.may_close.store(true, Ordering::Relaxed);
        if name == "other rules" {
            rules_of(&stage, RULES_EITHER);
        }
        let is_taken = stage.scene.configure(configuration)?;
        ensure!(is_taken, "Envoy turned a good configuration down:\n{}", stage.scene.envoy.log_tail());
        stage.scene.await_change()?;
        // The old rules may still apply to requests in flight.
        std::thread::sleep(Duration::from_millis(500));
        rules_of(&stage, RULES_NEW);
        let before = (stage.scene.server.asked_by(CLIENT), stage.scene.server.asked());
        stage.hold(&format!("{name}: taken"), setting.fault / 2)?;
        stage.scene.world.may_close.store(false, Ordering::Relaxed);
        if name != "other rules" && stage.scene.server.asked_by(CLIENT) > before.0 {
            stage.findings.push(format!("{name}: the old secret is still in use"));
        }
        if name == "another authorization server" && stage.scene.server.asked() > before.1 {
            stage.findings.push(format!("{name}: the old one still receives introspection requests"));
        }
        if name == "another authorization server" && stage.scene.other.asked() == 0 {
            stage.findings.push(format!("{name}: it receives no introspection requests"));
        }
    }
    stage.begin("a bad configuration, which is refused")?;
    let is_taken = stage.scene.configure(Configuration { requirement: "no\"scope", ..START })?;
    ensure!(!is_taken, "Envoy took a bad configuration");
    std::thread::sleep(setting.fault / 2);
    stage.close()
}

/// Envoy is drained.
pub(crate) fn drain(setting: &Setting) -> Result<Act> {
    let seconds = setting.fault.as_secs().clamp(2, 30);
    let arguments = vec!["--drain-time-s".to_owned(), seconds.to_string()];
    let special = Special { arguments, ..Special::default() };
    let mut stage = Stage::open(setting, "Envoy is drained", special)?;
    stage.hold("nothing is wrong", setting.fault / 2)?;
    let draining = stage.begin("drained")?;
    stage.scene.world.may_close.store(true, Ordering::Relaxed);
    stage.scene.world.may_refuse.store(true, Ordering::Relaxed);
    stage.scene.envoy.change("/drain_listeners?graceful")?;
    let deadline = Instant::now() + Duration::from_secs(seconds + 10);
    while draining.counts().refused == 0 {
        if Instant::now() > deadline {
            bail!("the listener does not go away");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Envoy no longer responds, and no response is expected.
    let gone = stage.begin("the listener is gone")?;
    gone.counts().is_held = false;
    std::thread::sleep(Duration::from_secs(2));
    stage.close()
}

const WARM_UP: Duration = Duration::from_secs(5);
const HOUR: i64 = 3600;
