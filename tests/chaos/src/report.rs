//! The counts, as Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use scopegate_testbed::page::shown;

use crate::acts::Act;
use crate::soak::{MOST_GROWTH, Soak};
use crate::tally::Counts;

/// The table of an act, and its findings.
pub(crate) fn act(act: &Act, rate: u64) -> String {
    let mut text = format!("### {}\n\n{HEAD}", act.title);
    for (index, counts) in act.phases.iter().enumerate() {
        // After a fault: the time until the last 503.
        let felt = counts.last_unavailable.filter(|_| counts.name.ends_with(": after it") && index > 0);
        let felt = felt.map(|last| last.duration_since(counts.begun));
        text.push_str(&row(counts, felt, rate));
    }
    text.push('\n');
    let left: Vec<String> = act.leftovers.iter().map(|(name, count)| format!("`{name}` {count}")).collect();
    let _ = writeln!(text, "Left over at the end: {}.", left.join(", "));
    for finding in act.findings.iter().chain(act.phases.iter().flat_map(|counts| &counts.examples)) {
        let _ = write!(text, "\n- {finding}");
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The totals of all acts.
pub(crate) fn totals(acts: &[Act]) -> String {
    let sum = |of: fn(&Counts) -> u64| acts.iter().flat_map(|act| &act.phases).map(of).sum::<u64>();
    let rows = [
        ("requests", sum(|counts| counts.sent)),
        ("wrongly allowed", sum(|counts| counts.wrongly_allowed)),
        ("hung", sum(|counts| counts.hung)),
        ("unexpected", sum(|counts| counts.unexpected)),
        ("VM restarts", sum(|counts| counts.restarts)),
    ];
    let mut text = "| | |\n|---|--:|\n".to_owned();
    for (name, count) in rows {
        let _ = writeln!(text, "| {name} | {} |", whole(count));
    }
    text
}

/// Whether the run passed: no failures, nothing left over, the rate held.
pub(crate) fn is_good(acts: &[Act], rate: u64) -> bool {
    let is_bad = |counts: &Counts| counts.is_bad() || !is_rate_held(counts, rate);
    acts.iter().all(|act| {
        let left = act.leftovers.iter().any(|(_, count)| *count > 0);
        !left && act.findings.is_empty() && !act.phases.iter().any(is_bad)
    })
}

/// The results of a soak.
pub(crate) fn soak(soak: &Soak, rate: u64) -> String {
    let measured = soak.measured();
    let kibibytes = measured.iter().map(|sample| sample.kibibytes);
    let most = kibibytes.clone().fold(0.0, f64::max);
    let mebibytes = |kibibytes: f64| shown(kibibytes / 1024.0, 1);
    let verdict = if soak.is_flat() { "flat" } else { "**not flat**" };
    let mut text = "| memory of Envoy (RSS) | |\n|---|--:|\n".to_owned();
    for (name, figure) in [
        ("after the warm-up, MiB", mebibytes(measured[0].kibibytes)),
        ("most, MiB", mebibytes(most)),
        ("at the end, MiB", mebibytes(measured[measured.len() - 1].kibibytes)),
        ("slope, KiB a minute", shown(soak.slope(), 2)),
        ("growth over the time measured, %", format!("{:.2}", soak.growth() * 100.0)),
    ] {
        let _ = writeln!(text, "| {name} | {figure} |");
    }
    let _ = write!(
        text,
        "\nMemory is {verdict}: a line fitted to {} samples of ten seconds by least squares may rise by {} % of what \
         there was after the warm-up. The host took at most {} % of the CPU time of a ten-second sample (steal).\n\n",
        measured.len(),
        MOST_GROWTH * 100.0,
        shown(soak.most_stolen() * 100.0, 1),
    );
    text.push_str("| under way, on the average | first third | last third |\n|---|--:|--:|\n");
    for (name, [first, last]) in soak.under_way() {
        let _ = writeln!(text, "| `{name}` | {} | {} |", shown(first, 1), shown(last, 1));
    }
    text.push_str("\n![Memory of Envoy over the soak](reliability/soak.svg)\n\n");
    text + &act(&soak.act, rate)
}

fn row(counts: &Counts, felt: Option<Duration>, rate: u64) -> String {
    let known = [(200, 200), (401, 401), (403, 403), (503, 503)];
    let statuses = known.map(|(low, high)| counts.between(low, high));
    let other = counts.between(0, 999) - statuses.iter().sum::<u64>();
    let micros = |micros: u64| shown(f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1e3, 1);
    let per_second = shown(counts.rate(), 0);
    let per_second = if is_rate_held(counts, rate) { per_second } else { format!("**{per_second}**") };
    let felt = felt.map_or_else(String::new, |felt| format!("{:.1}", felt.as_secs_f64()));
    let counted = [counts.wrongly_allowed, counts.hung, counts.unexpected, counts.restarts];
    let bad = counted.map(|count| if count > 0 { format!("**{}**", whole(count)) } else { "0".to_owned() });
    let reopened = [counts.sent_again, counts.refused].map(whole);
    let cells: Vec<String> = [counts.name.clone(), whole(counts.sent), per_second]
        .into_iter()
        .chain(statuses.into_iter().chain([other]).map(whole))
        .chain(reopened)
        .chain(bad)
        .chain([micros(counts.latencies.value_at_quantile(0.99)), micros(counts.latencies.max()), felt])
        .chain([format!("{:.1}", counts.stolen * 100.0)])
        .collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A twentieth less is what the clock of a busy machine may cost.
fn is_rate_held(counts: &Counts, rate: u64) -> bool {
    !counts.is_held || counts.rate() >= f64::from(u32::try_from(rate).unwrap_or(u32::MAX)) * 0.95
}

#[expect(clippy::cast_precision_loss, reason = "counts fit")]
fn whole(count: u64) -> String {
    shown(count as f64, 0)
}

const HEAD: &str = "| phase | requests | a second | 200 | 401 | 403 | 503 | other | sent again | refused | \
    wrongly allowed | hung | unexpected | VM restarts | p99, ms | max, ms | felt for, s | stolen, % |\n\
    |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
