//! What `/metrics` shows, read as a scraper reads it.

use std::collections::BTreeMap;

/// The labels of one series.
pub type Labels = BTreeMap<String, String>;

/// Series by the name of their metric.
#[derive(Default)]
pub struct Scraped {
    /// Each with its value, as text.
    pub series: BTreeMap<String, Vec<(Labels, String)>>,
}

impl Scraped {
    /// Adds what one `/metrics` shows.
    ///
    /// Panics: when a line cannot be read.
    pub fn add(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in `{line}`"));
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("no end of labels in `{line}`"));
            let labels = read_labels(labels);
            self.series.entry(name.to_owned()).or_default().push((labels, value.to_owned()));
        }
    }

    /// Whether a series of `metric` has `label`.
    pub fn has_label(&self, metric: &str, label: &str) -> bool {
        self.of(metric).any(|labels| labels.contains_key(label))
    }

    /// Whether a series of `metric` has `label` with `value`.
    pub fn has_value(&self, metric: &str, label: &str, value: &str) -> bool {
        self.of(metric).any(|labels| labels.get(label).is_some_and(|found| found == value))
    }

    fn of(&self, metric: &str) -> impl Iterator<Item = &Labels> {
        self.series.get(metric).into_iter().flatten().map(|(labels, _)| labels)
    }
}

/// Reads `a="b",c="d"`. Values of this program hold no quote and no backslash.
fn read_labels(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text;
    while let Some((label, behind)) = rest.split_once("=\"") {
        let (value, behind) =
            behind.split_once('"').unwrap_or_else(|| panic!("no end of a value in `{text}`"));
        labels.insert(label.trim_start_matches(',').to_owned(), value.to_owned());
        rest = behind;
    }
    labels
}
