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
