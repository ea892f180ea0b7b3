//! A mixed load for a long time: does anything grow?

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use plotters::prelude::*;
use scopegate_testbed::cpu::CpuTime;

use crate::acts::Act;
use crate::load::Connections;
use crate::scene::{Scene, Setting, Special};

/// How Envoy was, so many minutes after the start.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) minutes: f64,
    pub(crate) kibibytes: f64,
    /// The share of the CPU time since the previous sample that the machine did not get (steal).
    stolen: f64,
    /// The number of waiting requests, requests and callouts in flight, and connections.
    under_way: Vec<(String, u64)>,
}

/// The measurements.
#[derive(Debug)]
pub(crate) struct Soak {
    pub(crate) act: Act,
    pub(crate) samples: Vec<Sample>,
    /// How many of them are of the time in which caches fill.
    pub(crate) warm_up: usize,
}

impl Soak {
    /// Runs it for so long.
    pub(crate) fn run(setting: &Setting, time: Duration) -> Result<Self> {
        let scene = Scene::set(setting, Special::default())?;
        let load = scene.load(setting.rates, Connections::Fixed(CONNECTIONS))?;
        let (start, restarts) = (Instant::now(), scene.restarts()?);
        let warm_up = time / WARM_UP_SHARE;
        let phases = [("warm-up", warm_up), ("soak", time)];
        let (mut tallies, mut samples, mut warm) = (Vec::new(), Vec::new(), 0);
        let mut looked_at = CpuTime::now()?;
        for (name, until) in phases {
            eprintln!("{name}, until {:.1} min", until.as_secs_f64() / 60.0);
            warm = samples.len();
            tallies.push(load.begin(name)?);
            while start.elapsed() < until {
                let due = start + EVERY * u32::try_from(samples.len())?;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let before = std::mem::replace(&mut looked_at, CpuTime::now()?);
                samples.push(Sample {
                    minutes: start.elapsed().as_secs_f64() / 60.0,
                    kibibytes: f64::from(u32::try_from(scene.envoy.rss_bytes()? / 1024)?),
                    stolen: looked_at.stolen_since(&before),
                    under_way: [scene.leftovers()?, scene.connections()?].concat(),
                });
            }
        }
        load.end()?;
        let mut phases: Vec<_> = tallies.iter().map(|tally| tally.counts().clone()).collect();
        if let Some(last) = phases.last_mut() {
            last.restarts = scene.restarts()?.saturating_sub(restarts);
        }
        let act = Act { title: "Soak", phases, leftovers: scene.settled_leftovers()?, findings: Vec::new() };
        let soak = Self { act, samples, warm_up: warm };
        ensure!(soak.measured().len() > 1, "too short to say anything: a sample takes {EVERY:?}");
        Ok(soak)
    }

    /// The samples that count.
    pub(crate) fn measured(&self) -> &[Sample] {
        &self.samples[self.warm_up..]
    }

    /// By how much memory grows, by least squares, in KiB a minute.
    pub(crate) fn slope(&self) -> f64 {
        let samples = self.measured();
        let mean = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / self.count();
        let (x, y) = (mean(|sample| sample.minutes), mean(|sample| sample.kibibytes));
        let above: f64 = samples.iter().map(|sample| (sample.minutes - x) * (sample.kibibytes - y)).sum();
        let below: f64 = samples.iter().map(|sample| (sample.minutes - x).powi(2)).sum();
        above / below
    }

    /// By how much the line rises over the time that was measured, of what there was at its begin.
    pub(crate) fn growth(&self) -> f64 {
        let samples = self.measured();
        let minutes = samples[samples.len() - 1].minutes - samples[0].minutes;
        self.slope() * minutes / samples[0].kibibytes
    }

    /// How much was under way on the average in the first third and in the last one, by the name of the gauge.
    pub(crate) fn under_way(&self) -> Vec<(&str, [f64; 2])> {
        let samples = self.measured();
        let third = samples.len().div_ceil(3);
        let mean = |samples: &[Sample], name: &str| {
            let of =
                |sample: &Sample| sample.under_way.iter().find(|(other, _)| other == name).map(|(_, count)| *count);
            let sum: u64 = samples.iter().filter_map(of).sum();
            f64::from(u32::try_from(sum).unwrap_or(u32::MAX)) / f64::from(u32::try_from(samples.len()).unwrap_or(1))
        };
        let thirds = |name| [mean(&samples[..third], name), mean(&samples[samples.len() - third..], name)];
        samples[0].under_way.iter().map(|(name, _)| (name.as_str(), thirds(name))).collect()
    }

    /// The largest share of the CPU time between two samples that the machine did not get.
    pub(crate) fn most_stolen(&self) -> f64 {
        self.measured().iter().map(|sample| sample.stolen).fold(0.0, f64::max)
    }

    pub(crate) fn is_flat(&self) -> bool {
        self.growth() <= MOST_GROWTH
    }

    #[expect(clippy::cast_precision_loss, reason = "counts fit")]
    fn count(&self) -> f64 {
        self.measured().len() as f64
    }

    pub(crate) fn draw(&self, path: &Path) -> Result<()> {
        self.line(path).map_err(|error| anyhow!("{}: {error}", path.display()))
    }

    fn line(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let points: Vec<(f64, f64)> =
            self.samples.iter().map(|sample| (sample.minutes, sample.kibibytes / 1024.0)).collect();
        let (end, most) = points.iter().fold((0.0_f64, 0.0_f64), |(x, y), point| (x.max(point.0), y.max(point.1)));
        let area = SVGBackend::new(path, (900, 320)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption("Memory of Envoy (RSS), MiB, by minutes", ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..end, 0.0..most * 1.15)?;
        chart.configure_mesh().x_max_light_lines(0).y_max_light_lines(0).draw()?;
        chart.draw_series(LineSeries::new(points, RGBColor(31, 119, 180).stroke_width(2)))?;
        let warm = self.measured()[0].minutes;
        chart.draw_series(LineSeries::new([(warm, 0.0), (warm, most * 1.15)], RGBColor(127, 127, 127)))?;
        area.present()?;
        Ok(())
    }
}

const EVERY: Duration = Duration::from_secs(10);
/// Far more than are in use at a time.
const CONNECTIONS: usize = 64;
/// The warm-up takes one part in so many of the whole time.
pub(crate) const WARM_UP_SHARE: u32 = 5;
/// The maximum growth, as a share of the memory after the warm-up.
pub(crate) const MOST_GROWTH: f64 = 0.01;
