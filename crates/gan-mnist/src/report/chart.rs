//! Line charts as HTML: an SVG made here, its labels as text around it, and the numbers that show on hover.

use maud::{Markup, html};
use serde::Serialize;

/// Points that a curve has at most: about as many as a chart is wide in pixels, halved.
const BUCKETS: usize = 240;

/// Curves of fewer points are drawn as they are, with a mark at each.
const FEW: usize = 60;

/// Buckets on each side that a smoothed value averages over.
const REACH: usize = 5;

/// The size of the drawing, in units of its own; it is stretched to whatever room there is.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 300.0;

/// A chart of some quantity over the steps of training.
#[derive(Debug, Clone, Default)]
pub(super) struct Chart {
    pub(super) title: String,
    /// A sentence that says what is shown.
    pub(super) note: String,
    pub(super) series: Vec<Series>,
    /// Whether the axis is logarithmic.
    pub(super) logarithmic: bool,
    /// Bounds of the axis that hold whatever the values are.
    pub(super) bounds: [Option<f64>; 2],
}

/// A curve.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    pub(super) name: String,
    /// The number of its colour.
    pub(super) colour: usize,
    /// Steps and values, in the order of the steps.
    pub(super) points: Vec<(f64, f64)>,
    /// Whether it is a value to compare with, not a measured course.
    pub(super) dashed: bool,
}

/// What hovering shows of a chart.
#[derive(Debug, Serialize)]
pub(super) struct Hover {
    /// The last step of the axis.
    max: f64,
    series: Vec<HoverSeries>,
}

#[derive(Debug, Serialize)]
struct HoverSeries {
    name: String,
    colour: usize,
    x: Vec<f64>,
    y: Vec<f64>,
    /// The values before smoothing, if they were smoothed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    raw: Vec<f64>,
}

/// Neighbouring points of a curve in one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    x: f64,
    low: f64,
    mean: f64,
    high: f64,
    smooth: f64,
}

/// A curve ready to be drawn.
struct Drawn<'a> {
    series: &'a Series,
    buckets: Vec<Bucket>,
    smoothed: bool,
}

impl Chart {
    /// The chart as HTML, for a course of `steps` steps, and what hovering over it shows; `None` where there is nothing
    /// to draw.
    pub(super) fn draw(&self, id: usize, steps: f64) -> Option<(Markup, Hover)> {
        let usable = |&&(_, y): &&(f64, f64)| y.is_finite() && (!self.logarithmic || y > 0.0);
        let drawn: Vec<Drawn<'_>> = self
            .series
            .iter()
            .filter_map(|series| {
                let points: Vec<_> = series.points.iter().filter(usable).copied().collect();
                let smoothed = points.len() > FEW;
                let buckets = if smoothed { bucketed(&points, steps) } else { plain(&points) };
                (!buckets.is_empty()).then_some(Drawn { series, buckets, smoothed })
            })
            .collect();
        if drawn.is_empty() {
            return None;
        }
        let axis = Axis::over(&drawn, self);
        let across = |x: f64| x / steps.max(1.0);
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        let html = html! {
            section.chart {
                h3 { (self.title) }
                p { (self.note) }
                ul.legend {
                    @for Drawn { series, .. } in &drawn {
                        li { i class=(series.class("")) {} (series.name) }
                    }
                }
                div.plot data-chart=(id) tabindex="0" {
                    svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                        aria-label=(self.spoken(&drawn)) {
                        @for tick in &axis.ticks {
                            path.grid d=(format!("M0 {:.1}H{WIDTH}", axis.place(*tick))) {}
                        }
                        @for curve in &drawn {
                            (curve.paths(&|x, y| format!("{:.1} {:.1}", WIDTH * across(x), axis.place(y))))
                        }
                    }
                    @for tick in &axis.ticks {
                        span.y style={ "top:" (percent(axis.place(*tick) / HEIGHT)) } { (number(*tick)) }
                    }
                    @for tick in ticks(0.0, steps, 4) {
                        span.x style={ "left:" (percent(across(tick))) } { (number(tick)) }
                    }
                    div.cursor hidden {}
                    div.tip hidden {}
                }
            }
        };
        let series = drawn.iter().map(Drawn::hover).collect();
        Some((html, Hover { max: steps, series }))
    }

    /// The chart in words, for those who cannot see it.
    fn spoken(&self, drawn: &[Drawn<'_>]) -> String {
        let last = drawn.iter().filter_map(|drawn| {
            let last = drawn.buckets.last()?;
            Some(format!("{} {}", drawn.series.name, number(last.smooth)))
        });
        format!("{}, at the end: {}", self.title, last.collect::<Vec<_>>().join(", "))
    }
}

impl Series {
    /// The classes of what is drawn of it.
    fn class(&self, kind: &str) -> String {
        let dashed = if self.dashed { " dashed" } else { "" };
        format!("{kind} s{}{dashed}", self.colour % 8).trim_start().into()
    }
}

impl Drawn<'_> {
    /// The band and the line, or the line and its dots. `at` gives the place of a step and a value.
    fn paths(&self, at: &dyn Fn(f64, f64) -> String) -> Markup {
        let Drawn { series, buckets, smoothed } = self;
        let above = buckets.iter().map(|b| at(b.x, b.high));
        let below = buckets.iter().rev().map(|b| at(b.x, b.low));
        let outline = || above.chain(below).collect::<Vec<_>>().join("L");
        let line = buckets.iter().map(|b| at(b.x, b.smooth)).collect::<Vec<_>>().join("L");
        html! {
            @if *smoothed { path class=(series.class("raw")) d={ "M" (outline()) "Z" } {} }
            path class=(series.class("line")) d={ "M" (line) } {}
            @if !smoothed && !series.dashed {
                // A line of no length with round ends is a dot that stretching does not deform.
                path class=(series.class("dots"))
                    d=(buckets.iter().map(|b| format!("M{}h0", at(b.x, b.smooth))).collect::<String>()) {}
            }
        }
    }

    fn hover(&self) -> HoverSeries {
        let of = |value: fn(&Bucket) -> f64| self.buckets.iter().map(|b| significant(value(b))).collect();
        HoverSeries {
            name: self.series.name.clone(),
            colour: self.series.colour % 8,
            x: self.buckets.iter().map(|b| b.x.round()).collect(),
            y: of(|b| b.smooth),
            raw: if self.smoothed { of(|b| b.mean) } else { Vec::new() },
        }
    }
}

/// Points as they are.
fn plain(points: &[(f64, f64)]) -> Vec<Bucket> {
    points.iter().map(|&(x, y)| Bucket { x, low: y, mean: y, high: y, smooth: y }).collect()
}

/// Points gathered by their steps, and a mean over some neighbours for each.
fn bucketed(points: &[(f64, f64)], steps: f64) -> Vec<Bucket> {
    let bucket = |x: f64| ((x / steps.max(1.0) * BUCKETS as f64) as usize).min(BUCKETS - 1);
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut rest = points;
    while let Some(&(first, _)) = rest.first() {
        let end = rest.iter().position(|&(x, _)| bucket(x) != bucket(first)).unwrap_or(rest.len());
        let (own, later) = rest.split_at(end);
        let mean = |of: fn(&(f64, f64)) -> f64| own.iter().map(of).sum::<f64>() / own.len() as f64;
        let y = |fold: fn(f64, f64) -> f64, from| own.iter().map(|p| p.1).fold(from, fold);
        let mean_y = mean(|p| p.1);
        buckets.push(Bucket {
            x: mean(|p| p.0),
            low: y(f64::min, f64::INFINITY),
            mean: mean_y,
            high: y(f64::max, f64::NEG_INFINITY),
            smooth: mean_y,
        });
        rest = later;
    }
    for k in 0..buckets.len() {
        // As far to one side as to the other, so that an end is not drawn towards the middle.
        let reach = REACH.min(k).min(buckets.len() - 1 - k);
        let near = &buckets[k - reach..=k + reach];
        buckets[k].smooth = near.iter().map(|b| b.mean).sum::<f64>() / near.len() as f64;
    }
    buckets
}

/// The vertical axis.
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Axis {
    /// Wide enough for every smoothed value and nearly all others: a few that stand out would press the rest flat.
    fn over(drawn: &[Drawn<'_>], chart: &Chart) -> Axis {
        let mut raw: Vec<f64> = drawn.iter().flat_map(|d| &d.buckets).flat_map(|b| [b.low, b.high]).collect();
        raw.sort_by(f64::total_cmp);
        let at = |share: f64| raw[((raw.len() - 1) as f64 * share) as usize];
        let smooth = drawn.iter().flat_map(|d| &d.buckets).map(|b| b.smooth);
        let (low, high) = smooth.fold((at(0.02), at(0.98)), |(l, h), y| (l.min(y), h.max(y)));
        if chart.logarithmic {
            let (low, high) = (low.log10().floor(), high.log10().ceil());
            let high = if high > low { high } else { low + 1.0 };
            let every = ((high - low) / 5.0).ceil().max(1.0);
            let count = ((high - low) / every) as usize;
            let ticks = (0..=count).map(|k| 10f64.powf(low + every * k as f64)).collect();
            return Axis { low, high, logarithmic: true, ticks };
        }
        let (mut low, mut high) = (chart.bounds[0].unwrap_or(low), chart.bounds[1].unwrap_or(high));
        if high - low <= 1e-9 * high.abs().max(low.abs()) {
            let margin = if high == 0.0 { 1.0 } else { 0.1 * high.abs() };
            (low, high) = (chart.bounds[0].unwrap_or(low - margin), chart.bounds[1].unwrap_or(high + margin));
        }
        let margin = 0.05 * (high - low);
        let low = chart.bounds[0].unwrap_or(if low >= 0.0 { (low - margin).max(0.0) } else { low - margin });
        let high = chart.bounds[1].unwrap_or(high + margin);
        Axis { low, high, logarithmic: false, ticks: ticks(low, high, 5) }
    }

    /// Where a value is, from the top; what lies outside is at the edge.
    fn place(&self, y: f64) -> f64 {
        let y = if self.logarithmic { y.max(f64::MIN_POSITIVE).log10() } else { y };
        HEIGHT * (1.0 - ((y - self.low) / (self.high - self.low)).clamp(0.0, 1.0))
    }
}

/// Round numbers from `low` to `high`, about `count` of them.
fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low) / count as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return vec![low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let every =
        power * [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|n| n * power >= rough * 0.999).unwrap_or(10.0);
    let first = (low / every).ceil();
    let last = (high / every * (1.0 + 1e-12)).floor();
    (0..=(last - first).max(0.0) as usize).map(|k| (first + k as f64) * every).collect()
}

/// Four digits that count.
fn significant(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return 0.0;
    }
    format!("{x:.3e}").parse().unwrap_or(x)
}

/// A number for people: `12`, `0.25`, `1.2e-5`, `60k`.
pub(super) fn number(x: f64) -> String {
    let size = x.abs();
    if (1e6..1e9).contains(&size) {
        return format!("{}M", significant(x / 1e6));
    }
    if (1e4..1e6).contains(&size) {
        return format!("{}k", significant(x / 1e3));
    }
    if (size > 0.0 && size < 1e-3) || size >= 1e9 {
        return format!("{:e}", significant(x));
    }
    format!("{}", significant(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1875.0, 4), [0.0, 500.0, 1000.0, 1500.0]);
        assert_eq!(ticks(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(-0.3, 0.3, 5), [-0.2, 0.0, 0.2]);
        assert_eq!(ticks(1.0, 1.0, 5), [1.0]);
    }

    #[test]
    fn numbers_are_short() {
        let text = [0.0, 0.25, 1234.0, 60_000.0, 1.5e6, 1.25e-5, -3.0, 0.30000000000000004, 3e12].map(number);
        assert_eq!(text, ["0", "0.25", "1234", "60k", "1.5M", "1.25e-5", "-3", "0.3", "3e12"]);
    }

    #[test]
    fn long_curves_become_as_many_points_as_are_shown() {
        let points: Vec<_> = (1..=100_000).map(|k| (f64::from(k), f64::from(k % 2))).collect();
        let buckets = bucketed(&points, 100_000.0);
        assert_eq!(buckets.len(), BUCKETS);
        for bucket in &buckets {
            assert_eq!((bucket.low, bucket.high), (0.0, 1.0));
            assert!((bucket.smooth - 0.5).abs() < 0.01 && (bucket.mean - 0.5).abs() < 0.01);
        }
        // A straight line stays one, up to its ends.
        let line: Vec<_> = (0..1000).map(|k| (f64::from(k), f64::from(k))).collect();
        for bucket in bucketed(&line, 1000.0) {
            assert!((bucket.smooth - bucket.x).abs() < 0.5);
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let series = |points: &[(f64, f64)]| Series { points: points.to_vec(), ..Series::default() };
        let chart = Chart { series: vec![series(&[]), series(&[(1.0, f64::NAN)])], ..Chart::default() };
        assert!(chart.draw(0, 10.0).is_none());
        let chart = Chart { logarithmic: true, series: vec![series(&[(1.0, 0.0)])], ..Chart::default() };
        assert!(chart.draw(0, 10.0).is_none());
        for points in [&[(1.0, 0.0)][..], &[(1.0, 5.0), (2.0, 5.0)], &[(0.0, -1.0), (1.0, f64::INFINITY)]] {
            let (html, _) = Chart { series: vec![series(points)], ..Chart::default() }.draw(3, 2.0).unwrap();
            let html = html.into_string();
            assert!(
                html.contains("data-chart=\"3\"") && !html.contains("NaN") && !html.contains("inf"),
                "{html}"
            );
        }
    }

    #[test]
    fn titles_and_names_are_text() {
        let series = Series { name: "<b>&".into(), points: vec![(1.0, 1.0)], ..Series::default() };
        let chart = Chart { title: "a<script>".into(), series: vec![series], ..Chart::default() };
        let html = chart.draw(0, 1.0).unwrap().0.into_string();
        assert!(!html.contains("<b>") && !html.contains("<script>"), "{html}");
    }
}
