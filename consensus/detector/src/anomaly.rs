//! Who stands out among the others: the modified z-score, which one outlier can not hide behind itself.
//!
//! Source: Iglewicz & Hoaglin 1993, *How to Detect and Handle Outliers*, §3: 0.6745 (x - median) / MAD, an outlier above 3.5. Deviates: only above, never below;
//! and the distance must matter at all, since with few replicas the MAD is often 0.

/// Above this a value is an outlier. Iglewicz & Hoaglin 1993 §3.
pub const OUTLIER_SCORE: f64 = 3.5;

/// The median, the upper of the two in the middle; 0 of none. Orders the values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Which places hold outliers, at least so far above the median. Of two values neither stands out: their median is the upper one.
pub(crate) fn outliers(values: &[f64], least_distance: f64) -> Vec<usize> {
    let center = median(&mut values.to_vec());
    let spread = median(&mut values.iter().map(|value| (value - center).abs()).collect::<Vec<f64>>());
    let stands_out = |value: f64| {
        let distance = value - center;
        distance >= least_distance && 0.6745 * distance / spread > OUTLIER_SCORE
    };
    (0..values.len()).filter(|place| stands_out(values[*place])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: f64 = 250.0;

    #[test]
    fn one_of_three_stands_out() {
        assert_eq!(outliers(&[3.0, 0.0, 900.0], FLOOR), [2]);
        assert_eq!(outliers(&[900.0, 0.0, 0.0], FLOOR), [0]);
    }

    #[test]
    fn what_is_slow_together_does_not_stand_out() {
        assert!(outliers(&[900.0, 880.0, 920.0], FLOOR).is_empty());
        assert!(outliers(&[0.0, 880.0, 920.0], FLOOR).is_empty());
    }

    #[test]
    fn distance_that_does_not_matter_is_none() {
        assert!(outliers(&[0.0, 1.0, 2.0, 150.0], FLOOR).is_empty());
    }

    #[test]
    fn wide_spread_excuses() {
        assert!(outliers(&[0.0, 200.0, 400.0, 600.0, 900.0], FLOOR).is_empty());
    }

    #[test]
    fn two_are_too_few_to_compare() {
        assert!(outliers(&[0.0, 9000.0], FLOOR).is_empty());
        assert!(outliers(&[9000.0], FLOOR).is_empty() && outliers(&[], FLOOR).is_empty());
    }
}
