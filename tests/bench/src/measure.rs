//! Rounds: each contestant runs once in every round, in the same order, so that other load on the machine
//! affects all of them. The result is the median of the rounds.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::envoy::Envoy;
use crate::wrk::{self, Load, Pool};

/// A listener to measure.
pub(crate) struct Contestant<'a> {
    pub(crate) name: String,
    pub(crate) envoy: &'a Envoy,
    /// The listener, which is also the prefix of its statistics.
    pub(crate) listener: String,
    pub(crate) pool: &'a Pool,
    /// How many requests were made: the next run goes on with the tokens that were not used for longest.
    pub(crate) made: Cell<u64>,
    /// The status that each request must get.
    pub(crate) status: u16,
    /// A token that the contestant must reject, if it verifies tokens.
    pub(crate) forged: Option<&'a str>,
    /// The expected statistics of the contestant after a run.
    pub(crate) cache: Expect,
}

/// The expected cache hits and misses of a contestant.
#[derive(Clone, Debug, Default)]
pub(crate) enum Expect {
    /// The contestant has no cache, or its hits are not checked.
    #[default]
    Anything,
    /// Nearly every request adds to the first counter, and nearly none to the second.
    Counted { many: String, few: String },
}

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) load: Load,
}

/// How quick a contestant is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) per_second: f64,
    /// The time that Envoy's threads ran for one request, in microseconds: what remains comparable when others use
    /// the machine, too.
    pub(crate) cpu_micros: f64,
}

/// The figures of each contestant, in the order of the contestants.
pub(crate) fn throughput(contestants: &[Contestant<'_>], plan: Plan) -> Result<Vec<Figure>> {
    for contestant in contestants {
        contestant.prepare(plan.load).with_context(|| contestant.name.clone())?;
    }
    let mut rounds = vec![Vec::with_capacity(plan.rounds); contestants.len()];
    for round in 1..=plan.rounds {
        for (contestant, figures) in contestants.iter().zip(&mut rounds) {
            let figure = contestant.run(plan.load).with_context(|| contestant.name.clone())?;
            eprintln!("round {round}: {}: {:.0}, {:.1}", contestant.name, figure.per_second, figure.cpu_micros);
            figures.push(figure);
        }
    }
    for contestant in contestants {
        contestant.check().with_context(|| contestant.name.clone())?;
    }
    let middle = |figures: &[Figure], of: fn(&Figure) -> f64| median(&figures.iter().map(of).collect::<Vec<_>>());
    let figure = |figures: &Vec<Figure>| {
        let (per_second, cpu_micros) = (middle(figures, |f| f.per_second)?, middle(figures, |f| f.cpu_micros)?);
        Ok(Figure { per_second, cpu_micros })
    };
    rounds.iter().map(figure).collect()
}

impl Contestant<'_> {
    /// Checks its decisions, and runs until the cache, if there is one, contains every token. Meanwhile V8
    /// compiles the module. Nothing of this is counted.
    pub(crate) fn prepare(&self, load: Load) -> Result<()> {
        self.check()?;
        let load = Load { duration: Duration::from_secs(1), ..load };
        let mut run = self.run(load);
        for _ in 1..WARMING_RUNS {
            if run.is_ok() {
                break;
            }
            run = self.run(load);
        }
        run.map(drop)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds fit")]
    fn run(&self, load: Load) -> Result<Figure> {
        let requests = || self.envoy.counter(&format!("http.{}.downstream_rq_completed", self.listener));
        let (cpu, before) = (self.envoy.cpu_time()?, requests()?);
        let passes = self.status < 400;
        let per_second =
            self.judged(load.connections, |address, start| wrk::run(address, self.pool, start, passes, load))?;
        let cpu = self.envoy.cpu_time()?.saturating_sub(cpu).as_secs_f64() * 1e6;
        Ok(Figure { per_second, cpu_micros: cpu / (requests()? - before) as f64 })
    }

    /// One run, from place `start` of the pool on; it fails if any answer was not the right one, or came from the
    /// wrong place.
    pub(crate) fn judged<T>(&self, connections: usize, run: impl FnOnce(&str, u64) -> Result<T>) -> Result<T> {
        let class = format!("http.{}.downstream_rq_{}xx", self.listener, self.status / 100);
        let (answered, cached) = (self.envoy.counter(&class)?, self.cache.read(self.envoy)?);
        let total = format!("http.{}.downstream_rq_completed", self.listener);
        let completed = self.envoy.counter(&total)?;
        let result = run(&self.envoy.address(&self.listener)?, self.made.get());
        // Requests in flight at the end must not slow down the next contestant.
        let open = format!("http.{}.downstream_cx_active", self.listener);
        let limit = Instant::now() + Duration::from_secs(10);
        while self.envoy.counter(&open)? > 0 && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(20));
        }
        let answered = self.envoy.counter(&class)? - answered;
        let completed = self.envoy.counter(&total)? - completed;
        let connections = u64::try_from(connections)?;
        self.made.set(self.made.get() + completed + connections);
        if answered + connections < completed {
            bail!("of {completed} answers {answered} had the status {}", self.status);
        }
        self.cache.judge(cached, self.cache.read(self.envoy)?, completed)?;
        result
    }

    /// Sends two single requests: one as in the run, and one that the contestant must reject.
    fn check(&self) -> Result<()> {
        let address = self.envoy.address(&self.listener)?;
        let (path, authorization) = self.pool.first()?;
        // The JWK set may not have been fetched yet.
        let limit = Instant::now() + Duration::from_secs(5);
        loop {
            let status = status(&address, path, authorization)?;
            if status == self.status {
                break;
            }
            if Instant::now() > limit {
                bail!("answered {status}, not {}; Envoy's log ends with:\n{}", self.status, self.envoy.log_tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if let Some(forged) = self.forged {
            let status = status(&address, path, Some(&format!("Bearer {forged}")))?;
            if status != 401 {
                bail!("answered {status} to a forged token");
            }
        }
        Ok(())
    }
}

impl Expect {
    fn read(&self, envoy: &Envoy) -> Result<(u64, u64)> {
        match self {
            Self::Anything => Ok((0, 0)),
            Self::Counted { many, few } => Ok((envoy.counter(many)?, envoy.counter(few)?)),
        }
    }

    fn judge(&self, before: (u64, u64), after: (u64, u64), requests: u64) -> Result<()> {
        let Self::Counted { many, few } = self else {
            return Ok(());
        };
        let (counted, uncounted) = (after.0 - before.0, after.1 - before.1);
        if counted * 100 < requests * 95 || uncounted * 100 > requests * 5 {
            bail!("of {requests} requests {counted} were {many} and {uncounted} {few}");
        }
        Ok(())
    }
}

/// The status of one request.
fn status(address: &str, path: &str, authorization: Option<&str>) -> Result<u16> {
    let mut request = ureq::get(format!("http://{address}{path}")).config().http_status_as_error(false).build();
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    Ok(request.call()?.status().as_u16())
}

/// The middle one.
pub(crate) fn median(figures: &[f64]) -> Result<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle).context("no rounds")?;
    let lower = if sorted.len().is_multiple_of(2) { sorted[middle - 1] } else { upper };
    Ok(f64::midpoint(lower, upper))
}

/// A cache is filled by as many runs of a second at most.
const WARMING_RUNS: usize = 30;
