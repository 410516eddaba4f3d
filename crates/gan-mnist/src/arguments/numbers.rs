//! Numbers with bounds.

/// Parses whole numbers from `min` to `max`.
pub(crate) fn whole_number(min: u64, max: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ if max == u64::MAX => Err(format!("expected a whole number from {min} up")),
        _ => Err(format!("expected a whole number from {min} to {max}")),
    }
}

/// Parses a learning rate: above 0, at most 1.
pub(crate) fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1.0 => Ok(rate),
        _ => Err("expected a number above 0 and at most 1, such as 0.001".into()),
    }
}

/// Parses minutes: above 0, at most a week.
pub(crate) fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if minutes > 0.0 && minutes <= 10_080.0 => Ok(minutes),
        _ => Err("expected a number of minutes above 0 and at most 10080, such as 10 or 0.5".into()),
    }
}

/// Parses a port, 0 for any that is free.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "expected a port from 1 to 65535, or 0 for any that is free".into())
}

/// Parses a truncation: above 0, at most 1.
pub(crate) fn truncation(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(truncation) if truncation > 0.0 && truncation <= 1.0 => Ok(truncation),
        _ => Err("expected a number above 0 and at most 1, such as 0.7".into()),
    }
}

/// Numbers of pictures: `5,17,100-120`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeds(pub Vec<u64>);

/// Parses numbers and ranges with commas between them.
pub(crate) fn seeds(text: &str) -> Result<Seeds, String> {
    const MOST: usize = 100_000;
    let wrong = || "expected numbers and ranges such as 5,17,100-120".to_string();
    let mut seeds = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        if last - first >= (MOST - seeds.len()) as u64 {
            return Err(format!("expected at most {MOST} of them"));
        }
        seeds.extend(first..=last);
    }
    Ok(Seeds(seeds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numbers_and_ranges() {
        assert_eq!(seeds("7").unwrap().0, [7]);
        assert_eq!(seeds("5,17,100-103, 2").unwrap().0, [5, 17, 100, 101, 102, 103, 2]);
        for wrong in ["", "5,", "3-1", "-4", "1-", "a", "1.5", "1-2-3"] {
            assert!(seeds(wrong).unwrap_err().contains("such as 5,17,100-120"), "{wrong}");
        }
        for many in ["0-100000", "1-18446744073709551615", "0-99998,1,2"] {
            assert!(seeds(many).unwrap_err().contains("at most 100000"), "{many}");
        }
    }
}
