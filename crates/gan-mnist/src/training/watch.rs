//! Signs that a run goes wrong.

use serde::{Deserialize, Serialize};

use crate::run::metrics_file::{Event, EventKind, Point};

/// Samples that are this far apart, beside real images, are alike; and from here on they are different again.
const ALIKE: f64 = 0.2;
const DIFFERENT: f64 = 0.5;

/// Points in a row that have to look alike before it is a collapse and no accident.
const ALIKE_POINTS: u32 = 3;

/// Samples that never were different are a collapse only after so many steps: at first all are grey.
const GREY_STEPS: u64 = 1000;

/// A discriminator that is right about this share for so many points in a row has won.
const WON: f64 = 0.99;
const WON_POINTS: u32 = 20;

/// A gradient norm that is so many times its median so far, or such a part of it.
const EXPLODED: f64 = 20.0;
const VANISHED: f64 = 1e-3;

/// No loss of a run that learns is so large: a critic's scores are thousands at most.
const BEYOND_REASON: f64 = 1e6;

/// Norms that the median is taken of, the last ones, and how many there have to be.
const NORMS: usize = 101;
const LEAST_NORMS: usize = 10;

/// What has been seen of a run, and what was said about it already: each thing is said once, and again only after it
/// had got better.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// Whether samples have been different since the last collapse.
    were_different: bool,
    alike_points: u32,
    collapsed: bool,
    won_points: u32,
    won: bool,
    beyond_reason: bool,
    norms: [Vec<f64>; 2],
    strange_norm: [bool; 2],
}

impl Watch {
    /// Whether the last points look as if a collapse had begun, or diverge: what is saved now is not to be returned to.
    pub fn is_suspect(&self) -> bool {
        self.alike_points > 0 || self.collapsed || self.beyond_reason
    }

    /// Looks at a point, and says what is new.
    pub fn look(&mut self, point: &Point) -> Vec<Event> {
        let mut events = Vec::new();
        let mut say = |kind, message: String| events.push(Event { kind, message });
        if let Some(diversity) = point.diversity
            && let Some(message) = self.collapse(diversity, point.step)
        {
            say(EventKind::Collapse, message);
        }
        if let (Some(real), Some(fake)) = (point.d_accuracy_real, point.d_accuracy_fake)
            && self.wins(0.5 * (real + fake))
        {
            say(
                EventKind::Dominance,
                format!(
                    "the discriminator has been right about more than {:.0} % of the images for {WON_POINTS} points in \
                     a row, so the generator may learn little: a lower learning rate for it, a gradient penalty (r1), \
                     or another loss may help",
                    100.0 * WON
                ),
            );
        }
        if let Some(message) = self.losses([point.d_real, point.d_fake, point.g]) {
            say(EventKind::Losses, message);
        }
        let norms = [("generator", point.g_gradient_norm), ("discriminator", point.d_gradient_norm)];
        for (k, (name, norm)) in norms.into_iter().enumerate() {
            if let Some(what) = norm.and_then(|norm| self.strange(k, norm)) {
                say(EventKind::Gradients, format!("the gradient of the {name} {what}"));
            }
        }
        events
    }

    fn collapse(&mut self, diversity: f64, step: u64) -> Option<String> {
        if diversity >= DIFFERENT {
            (self.were_different, self.collapsed) = (true, false);
        }
        if diversity >= ALIKE || !(self.were_different || step >= GREY_STEPS) {
            self.alike_points = 0;
            return None;
        }
        self.alike_points += 1;
        if self.collapsed || self.alike_points < ALIKE_POINTS {
            return None;
        }
        (self.collapsed, self.were_different) = (true, false);
        Some(format!(
            "the generator has collapsed: its samples are {:.0} % as far apart as real images. A smaller learning rate, a \
             larger batch, a gradient penalty (r1) or augmentation may help",
            100.0 * diversity
        ))
    }

    /// Says it before the losses are infinite, which may take a long time.
    fn losses(&mut self, losses: [Option<f64>; 3]) -> Option<String> {
        let largest = losses.into_iter().flatten().map(f64::abs).fold(0.0, f64::max);
        let beyond = largest > BEYOND_REASON;
        let was = std::mem::replace(&mut self.beyond_reason, beyond);
        (beyond && !was).then(|| {
            format!(
                "the losses are beyond reason (up to {largest:.1e}): training diverges. A smaller learning rate may help"
            )
        })
    }

    fn wins(&mut self, accuracy: f64) -> bool {
        if accuracy <= WON {
            (self.won_points, self.won) = (0, false);
            return false;
        }
        self.won_points += 1;
        let now = self.won_points >= WON_POINTS && !self.won;
        self.won |= now;
        now
    }

    fn strange(&mut self, model: usize, norm: f64) -> Option<String> {
        let known = &mut self.norms[model];
        let mut sorted = known.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        known.push(norm);
        if known.len() > NORMS {
            known.remove(0);
        }
        if sorted.len() < LEAST_NORMS || median <= 0.0 {
            return None;
        }
        let ratio = norm / median;
        let what = if ratio > EXPLODED {
            format!(
                "has grown to {ratio:.0} times what it was: a smaller learning rate or clip_norm may help"
            )
        } else if ratio < VANISHED {
            format!(
                "has shrunk to {ratio:.1e} times what it was: it learns nothing any more; another loss (hinge, \
                 relativistic) may help"
            )
        } else {
            self.strange_norm[model] = false;
            return None;
        };
        let new = !std::mem::replace(&mut self.strange_norm[model], true);
        new.then_some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(watch: &mut Watch, points: impl IntoIterator<Item = Point>) -> Vec<(u64, EventKind)> {
        let mut seen = Vec::new();
        for point in points {
            seen.extend(watch.look(&point).into_iter().map(|event| (point.step, event.kind)));
        }
        seen
    }

    fn diversities(first: u64, values: &[f64]) -> Vec<Point> {
        let point =
            |(k, &value)| Point { step: first + 50 * k as u64, diversity: Some(value), ..Point::default() };
        values.iter().enumerate().map(point).collect()
    }

    #[test]
    fn a_collapse_is_said_once_and_again_after_it_got_better() {
        let mut watch = Watch::default();
        // Grey at first, then a good generator with one bad point.
        assert!(kinds(&mut watch, diversities(50, &[0.01, 0.02, 0.1, 0.1, 0.6, 0.9, 0.1, 0.9])).is_empty());
        assert!(!watch.is_suspect());
        assert!(kinds(&mut watch, diversities(450, &[0.1, 0.05])).is_empty() && watch.is_suspect());
        let found = kinds(&mut watch, diversities(550, &[0.03, 0.03, 0.03, 0.03]));
        assert_eq!(found, [(550, EventKind::Collapse)]);
        let found = kinds(&mut watch, diversities(750, &[0.9, 0.1, 0.1, 0.1]));
        assert_eq!(found, [(900, EventKind::Collapse)]);
    }

    #[test]
    fn samples_that_never_differ_are_a_collapse_in_the_end() {
        let mut watch = Watch::default();
        let found = kinds(&mut watch, diversities(50, &[0.05; 40]));
        assert_eq!(found, [(1100, EventKind::Collapse)]);
    }

    #[test]
    fn a_discriminator_that_wins_is_said_once() {
        let mut watch = Watch::default();
        let point = |step, accuracy| Point {
            step,
            d_accuracy_real: Some(accuracy),
            d_accuracy_fake: Some(accuracy),
            ..Point::default()
        };
        assert!(
            kinds(&mut watch, (1..=100).map(|k| point(k, if k % 10 == 0 { 0.8 } else { 1.0 }))).is_empty()
        );
        assert_eq!(kinds(&mut watch, (101..=200).map(|k| point(k, 1.0))), [(120, EventKind::Dominance)]);
    }

    #[test]
    fn gradients_that_explode_or_vanish_are_said() {
        let point = |step, norm| Point { step, g_gradient_norm: Some(norm), ..Point::default() };
        for last in [100.0, 1e-5] {
            let mut watch = Watch::default();
            assert!(kinds(&mut watch, (1..=30).map(|k| point(k, 1.0 + (k % 3) as f64))).is_empty());
            let found = kinds(&mut watch, (31..=34).map(|k| point(k, last)));
            assert_eq!(found, [(31, EventKind::Gradients)]);
        }
    }

    #[test]
    fn losses_beyond_reason_are_said_once_until_they_are_small_again() {
        let mut watch = Watch::default();
        let point = |step, g| Point { step, g: Some(g), d_real: Some(0.5), ..Point::default() };
        let found = kinds(
            &mut watch,
            [0.7, 900.0, -1e18, 1e19, 1.0, 2e6].into_iter().zip(1..).map(|(g, step)| point(step, g)),
        );
        assert_eq!(found, [(3, EventKind::Losses), (6, EventKind::Losses)]);
    }

    #[test]
    fn a_watch_goes_on_from_what_it_was() {
        let mut watch = Watch::default();
        kinds(&mut watch, diversities(50, &[0.9, 0.1, 0.1]));
        let text = serde_json::to_string(&watch).unwrap();
        let mut again: Watch = serde_json::from_str(&text).unwrap();
        assert_eq!(again, watch);
        assert_eq!(kinds(&mut again, diversities(200, &[0.1])), [(200, EventKind::Collapse)]);
    }
}
