//! How often something happens.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Every so many steps, or every so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Steps, at least 1.
    Steps(u64),
    /// Time, at least a second, in whole seconds.
    Time(Duration),
}

impl Every {
    /// Whether it is time after `step`, when the last was after step `last` and `since` ago.
    pub fn is_due(self, step: u64, last: u64, since: Duration) -> bool {
        match self {
            Every::Steps(steps) => step > last && step.is_multiple_of(steps),
            Every::Time(time) => step > last && since >= time,
        }
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a time such as 30s, 5m or 1h, or a number of steps such as 500".to_owned();
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let number: u64 =
            number.parse().ok().filter(|n| (1..=1_000_000_000).contains(n)).ok_or_else(wrong)?;
        Ok(match unit {
            "" => Every::Steps(number),
            "s" => Every::Time(Duration::from_secs(number)),
            "m" => Every::Time(Duration::from_secs(60 * number)),
            "h" => Every::Time(Duration::from_secs(3600 * number)),
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Every::Steps(steps) => write!(f, "{steps}"),
            Every::Time(time) => write!(f, "{}s", time.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_steps_are_told_apart() {
        let seconds = |n| Ok(Every::Time(Duration::from_secs(n)));
        for (text, every) in [
            ("60s", seconds(60)),
            ("5m", seconds(300)),
            ("2h", seconds(7200)),
            ("500", Ok(Every::Steps(500))),
        ] {
            assert_eq!(text.parse(), every, "{text}");
            let every = every.unwrap();
            assert_eq!(every.to_string().parse(), Ok(every));
        }
        for text in ["", "0", "0s", "-1", "1.5m", "5 m", "m", "5min", "99999999999", "s5", "5ss"] {
            assert!(text.parse::<Every>().unwrap_err().contains("30s, 5m or 1h"), "{text}");
        }
    }

    #[test]
    fn nothing_is_due_twice_after_the_same_step() {
        let hour = Duration::from_secs(3600);
        assert!(Every::Steps(5).is_due(10, 7, Duration::ZERO) && !Every::Steps(5).is_due(10, 10, hour));
        assert!(!Every::Steps(5).is_due(9, 1, hour));
        let every = Every::Time(Duration::from_secs(60));
        assert!(every.is_due(3, 2, hour) && !every.is_due(3, 3, hour) && !every.is_due(3, 2, Duration::ZERO));
    }
}
