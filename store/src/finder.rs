//! From label sets to series numbers, for the writer: sources repeat themselves.

use noroshi_model::Labels;

use crate::catalogue::{Catalogue, hash_labels};

/// Finds series by labels. Whoever sends, sends its series in the same order again, so the series
/// that came after this one last time is looked at before anything is hashed; labels that are one
/// allocation with those of the catalogue are not even read.
#[derive(Default)]
pub(crate) struct Finder {
    /// For each series the one that came after it when it last came; at first the next number.
    followers: Vec<u32>,
    /// The series that was found last.
    before: u32,
}

impl Finder {
    /// Takes note of the series that are new since the last batch.
    pub(crate) fn begin(&mut self, catalogue: &Catalogue) {
        let known = self.followers.len() as u32;
        self.followers.extend((known..catalogue.next_series()).map(|series| series + 1));
    }

    /// Returns a series' number; `None` when it is not known.
    pub(crate) fn find(&mut self, catalogue: &Catalogue, labels: &Labels) -> Option<u32> {
        // A spool sends all samples of a series one after the other.
        let is_before = |known: &Labels| std::ptr::eq(known.as_packed(), labels.as_packed());
        if catalogue.labels(self.before).is_some_and(is_before) {
            return Some(self.before);
        }
        let guess = self.followers.get(self.before as usize).copied().unwrap_or(0);
        if catalogue.labels(guess) == Some(labels) {
            self.before = guess;
            return Some(guess);
        }
        let found = catalogue.find(hash_labels(labels), labels)?;
        if let Some(follower) = self.followers.get_mut(self.before as usize) {
            *follower = found;
        }
        self.before = found;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str) -> Labels {
        Labels::new([("__name__", name)])
    }

    /// Asks in the order of each text, series named by one letter, and compares with what the
    /// catalogue says by hash.
    #[test]
    fn any_order_is_found_as_the_catalogue_finds_it() {
        let mut catalogue = Catalogue::default();
        let mut finder = Finder::default();
        for (series, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            catalogue.add(series as u32, labels(name));
        }
        for order in ["abcde", "abcde", "edcba", "edcba", "aacca", "xaxbx", "aeaeae", "bbbbb"] {
            finder.begin(&catalogue);
            for name in order.split("").filter(|name| !name.is_empty()) {
                let labels = labels(name);
                let expected = catalogue.find(hash_labels(&labels), &labels);
                assert_eq!(finder.find(&catalogue, &labels), expected, "{name} of {order}");
            }
        }
        // Removed and made again under another number.
        catalogue.remove(&[1]);
        finder.begin(&catalogue);
        assert_eq!(finder.find(&catalogue, &labels("a")), Some(0));
        assert_eq!(finder.find(&catalogue, &labels("b")), None);
        catalogue.add(5, labels("b"));
        finder.begin(&catalogue);
        assert_eq!(finder.find(&catalogue, &labels("a")), Some(0));
        assert_eq!(finder.find(&catalogue, &labels("b")), Some(5));
    }
}
