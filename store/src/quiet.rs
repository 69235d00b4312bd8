//! Series that nothing came for in a while: out of the index and without a head, packed in groups
//! of up to 64 that only a question which reaches back to their time looks into. Drawn in
//! `FORMAT.md` as part of a checkpoint, which keeps the groups as they are here.

use std::collections::BTreeMap;

use noroshi_model::hash::hash_bytes;
use noroshi_model::{Labels, Matcher, MatcherOp};

use crate::catalogue::hash_labels;
use crate::checkpoint::{put_head, read_head};
use crate::codec::{Reader, put_varint};
use crate::head::Head;

/// Series in a group: one bit of a word tells for each whether it has come back.
const GROUP_SERIES: usize = 64;
/// So many groups that came one by one are sorted into each other: neighbours by labels share
/// nearly everything, and a selector looks into few groups.
const LOOSE_GROUPS: usize = 64;
/// Words of the filter of a group's labels: with some hundred labels one in ten that are not there
/// seems to be.
const FILTER_WORDS: usize = 16;
/// Groups kept unpacked while series come back: a host that returns finds its series in many.
const UNPACKED_MAX: usize = 256;
/// Longest group that is believed, unpacked: labels of 64 series are at most a megabyte.
const GROUP_BYTES_MAX: usize = 64 << 20;

/// A series that is quiet.
pub(crate) struct QuietSeries {
    pub(crate) number: u32,
    pub(crate) labels: Labels,
    /// Without samples: all are in blocks.
    pub(crate) head: Head,
}

impl QuietSeries {
    /// Tells whether it has anything after a moment.
    fn has_after(&self, after: i64) -> bool {
        self.head.newest_at() > after
    }
}

/// All quiet series.
#[derive(Default)]
pub(crate) struct Quiet {
    groups: BTreeMap<u32, Group>,
    next_group: u32,
    /// Upper half of the labels' hash and group, sorted; also of series that have come back, until
    /// their group is gone.
    places: Vec<(u32, u32)>,
    unpacked: Vec<(u32, Vec<u8>)>,
}

/// Some quiet series.
struct Group {
    /// Series that have come back, by position.
    gone: u64,
    count: u8,
    /// Whether it was sorted together with others.
    is_sorted: bool,
    /// The latest moment of all.
    newest_at: i64,
    /// The greatest number of all.
    last_number: u32,
    /// Which labels may be among them.
    filter: [u64; FILTER_WORDS],
    plain_length: u32,
    packed: Box<[u8]>,
}

fn place_of(labels: &Labels) -> u32 {
    (hash_labels(labels) >> 32) as u32
}

/// Returns the bit of a label in the filter.
fn filter_bit(name: &str, value: &str) -> (usize, u64) {
    let hash = hash_bytes(name.as_bytes()) ^ hash_bytes(value.as_bytes()).rotate_left(17);
    (hash as usize / 64 % FILTER_WORDS, 1 << (hash % 64))
}

impl Group {
    /// Packs up to [`GROUP_SERIES`] series.
    fn pack(all: &[QuietSeries], is_sorted: bool) -> Self {
        let (mut plain, mut head) = (Vec::new(), Vec::new());
        for series in all {
            put_varint(&mut plain, series.labels.as_packed().len() as u64);
            plain.extend_from_slice(series.labels.as_packed().as_bytes());
            head.clear();
            put_head(&mut head, series.number, &series.head);
            put_varint(&mut plain, head.len() as u64);
            plain.extend_from_slice(&head);
        }
        // Compressing into memory fails only when memory does.
        let packed = zstd::bulk::compress(&plain, 3).unwrap_or_default();
        let mut group = Self {
            gone: 0,
            count: all.len() as u8,
            is_sorted,
            newest_at: i64::MIN,
            last_number: 0,
            filter: [0; FILTER_WORDS],
            plain_length: plain.len() as u32,
            packed: packed.into(),
        };
        for series in all {
            group.note(series);
        }
        group
    }

    fn note(&mut self, series: &QuietSeries) {
        self.newest_at = self.newest_at.max(series.head.newest_at());
        self.last_number = self.last_number.max(series.number);
        for (name, value) in series.labels.iter() {
            let (word, bit) = filter_bit(name, value);
            self.filter[word] |= bit;
        }
    }

    fn plain(&self) -> Vec<u8> {
        // What this process packed or has read once is whole.
        zstd::bulk::decompress(&self.packed, self.plain_length as usize).unwrap_or_default()
    }

    /// Tells whether a series may be among them that all matchers take.
    fn may_match(&self, matchers: &[Matcher]) -> bool {
        let is_there = |matcher: &Matcher| {
            let (word, bit) = filter_bit(matcher.name(), matcher.value());
            self.filter[word] & bit != 0
        };
        let is_bound = |m: &&Matcher| m.op() == MatcherOp::Equal && !m.value().is_empty();
        matchers.iter().filter(is_bound).all(is_there)
    }

    /// Returns the series that are still here and for which `is_wanted`.
    fn series(
        &self,
        plain: &[u8],
        mut is_wanted: impl FnMut(&Labels) -> bool,
    ) -> Vec<(u32, QuietSeries)> {
        let mut found = Vec::new();
        let mut input = Reader::new(plain);
        for position in 0..u32::from(self.count) {
            let Some((labels, head)) = take_entry(&mut input) else { break };
            if self.gone & 1 << position == 0
                && let Some(labels) = Labels::from_packed(labels)
                && is_wanted(&labels)
                && let Some((number, head)) = read_head(&mut Reader::new(head))
            {
                found.push((position, QuietSeries { number, labels, head }));
            }
        }
        found
    }

    fn left(&self) -> usize {
        usize::from(self.count) - self.gone.count_ones() as usize
    }
}

/// Takes the labels and the head of the next series.
fn take_entry<'a>(input: &mut Reader<'a>) -> Option<(&'a str, &'a [u8])> {
    let length = usize::try_from(input.varint()?).ok()?;
    let labels = std::str::from_utf8(input.bytes(length)?).ok()?;
    let length = usize::try_from(input.varint()?).ok()?;
    Some((labels, input.bytes(length)?))
}

impl Quiet {
    /// Returns how many series are quiet.
    pub(crate) fn len(&self) -> usize {
        self.groups.values().map(Group::left).sum()
    }

    /// Returns the bytes that they take in memory.
    pub(crate) fn bytes(&self) -> usize {
        let packed: usize = self.groups.values().map(|group| group.packed.len()).sum();
        packed + self.groups.len() * size_of::<Group>() + self.places.len() * 8
    }

    /// Takes series in.
    pub(crate) fn add(&mut self, all: Vec<QuietSeries>) {
        self.put(all, false);
        let is_loose = |group: &Group| !group.is_sorted;
        if self.groups.values().filter(|group| is_loose(group)).count() >= LOOSE_GROUPS {
            let mut together = Vec::new();
            self.groups.retain(|_, group| {
                if !group.is_sorted {
                    together.extend(group.series(&group.plain(), |_| true));
                }
                group.is_sorted
            });
            self.put(together.into_iter().map(|(_, series)| series).collect(), true);
        }
        self.forget_places();
    }

    fn put(&mut self, mut all: Vec<QuietSeries>, is_sorted: bool) {
        all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        for some in all.chunks(GROUP_SERIES) {
            self.insert(Group::pack(some, is_sorted), some.iter().map(|s| place_of(&s.labels)));
        }
        self.places.sort_unstable();
    }

    fn insert(&mut self, group: Group, places: impl Iterator<Item = u32>) {
        let number = self.next_group;
        self.next_group += 1;
        self.places.extend(places.map(|place| (place, number)));
        self.groups.insert(number, group);
    }

    /// Forgets where series of groups were that are gone.
    fn forget_places(&mut self) {
        let groups = &self.groups;
        self.places.retain(|(_, group)| groups.contains_key(group));
        self.places.shrink_to_fit();
        self.unpacked.clear();
    }

    /// Returns the series with these labels.
    pub(crate) fn find(&self, labels: &Labels) -> Option<QuietSeries> {
        let mut places = self.places_of(labels);
        places.find_map(|group| {
            let group = self.groups.get(&group)?;
            group.series(&group.plain(), |known| known == labels).pop().map(|(_, series)| series)
        })
    }

    fn places_of(&self, labels: &Labels) -> impl Iterator<Item = u32> {
        let place = place_of(labels);
        let from = self.places.partition_point(|(known, _)| *known < place);
        self.places[from..].iter().take_while(move |(known, _)| *known == place).map(|(_, g)| *g)
    }

    /// Takes the series with these labels out: it has come back.
    pub(crate) fn take(&mut self, labels: &Labels) -> Option<QuietSeries> {
        let places: Vec<u32> = self.places_of(labels).collect();
        for number in places {
            let Some(group) = self.groups.get_mut(&number) else { continue };
            let known = self.unpacked.iter().position(|(unpacked, _)| *unpacked == number);
            let known = known.unwrap_or_else(|| {
                if self.unpacked.len() >= UNPACKED_MAX {
                    self.unpacked.remove(0);
                }
                self.unpacked.push((number, group.plain()));
                self.unpacked.len() - 1
            });
            let found = group.series(&self.unpacked[known].1, |known| known == labels).pop();
            let Some((position, series)) = found else { continue };
            group.gone |= 1 << position;
            if group.left() == 0 {
                self.groups.remove(&number);
                self.unpacked.remove(known);
            }
            return Some(series);
        }
        None
    }

    /// Returns the series that match and have anything after a moment.
    pub(crate) fn matching(&self, matchers: &[Matcher], after: i64) -> Vec<QuietSeries> {
        let mut all = Vec::new();
        for group in self.groups.values() {
            if group.newest_at > after && group.may_match(matchers) {
                let is_match = |labels: &Labels| matchers.iter().all(|m| m.matches_labels(labels));
                let found = group.series(&group.plain(), is_match).into_iter();
                all.extend(found.map(|(_, series)| series).filter(|s| s.has_after(after)));
            }
        }
        all
    }

    /// Takes out the groups of which nothing is later than a moment.
    pub(crate) fn expire(&mut self, until: i64) -> Vec<QuietSeries> {
        let mut expired = Vec::new();
        self.groups.retain(|_, group| {
            if group.newest_at < until {
                expired.extend(group.series(&group.plain(), |_| true).into_iter().map(|(_, s)| s));
            }
            group.newest_at >= until
        });
        if !expired.is_empty() {
            self.forget_places();
        }
        expired
    }

    /// Takes series out by number: the journal says that they are gone.
    pub(crate) fn remove(&mut self, numbers: &[u32]) {
        for group in self.groups.values_mut() {
            for (position, series) in group.series(&group.plain(), |_| true) {
                if numbers.contains(&series.number) {
                    group.gone |= 1 << position;
                }
            }
        }
        self.groups.retain(|_, group| group.left() > 0);
        self.forget_places();
    }

    /// Returns all series, or those with a number from `first` on.
    pub(crate) fn all_from(&self, first: u32) -> Vec<QuietSeries> {
        let groups = self.groups.values().filter(|group| group.last_number >= first);
        let all = groups.flat_map(|group| group.series(&group.plain(), |_| true));
        all.map(|(_, series)| series).filter(|series| series.number >= first).collect()
    }

    /// Hands over each group as a checkpoint keeps it.
    pub(crate) fn each_section(
        &self,
        mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let mut section = Vec::new();
        for group in self.groups.values() {
            section.clear();
            section.extend_from_slice(&group.gone.to_le_bytes());
            section.push(group.count);
            section.push(u8::from(group.is_sorted));
            section.extend_from_slice(&group.plain_length.to_le_bytes());
            section.extend_from_slice(&group.packed);
            each(&section)?;
        }
        Ok(())
    }

    /// Takes back a group that a checkpoint kept; `None` when it is damaged.
    pub(crate) fn add_section(&mut self, section: &[u8]) -> Option<()> {
        let mut input = Reader::new(section);
        let (gone, count, is_sorted) = (input.u64()?, input.byte()?, input.byte()? == 1);
        let plain_length = input.u32()?;
        if usize::from(count) > GROUP_SERIES || plain_length as usize > GROUP_BYTES_MAX {
            return None;
        }
        let packed = input.bytes(input.len())?;
        let plain = zstd::bulk::decompress(packed, plain_length as usize).ok()?;
        let (newest_at, filter) = (i64::MIN, [0; FILTER_WORDS]);
        let (packed, last_number) = (packed.into(), 0);
        let mut group =
            Group { gone, count, is_sorted, newest_at, last_number, filter, plain_length, packed };
        let all = group.series(&plain, |_| true);
        if all.len() != group.left() {
            return None;
        }
        for (_, series) in &all {
            group.note(series);
        }
        self.insert(group, all.iter().map(|(_, series)| place_of(&series.labels)));
        Some(())
    }

    /// Ends the taking back of groups.
    pub(crate) fn ready(&mut self) {
        self.places.sort_unstable();
        self.places.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(number: u32) -> QuietSeries {
        let labels = Labels::new([
            ("__name__", format!("m{}", number % 10)),
            ("instance", format!("pod{}", number / 10)),
        ]);
        let mut head = Head::new(0, 2, None);
        head.last_at = i64::from(number) * 1000;
        QuietSeries { number, labels, head }
    }

    fn numbers(found: Vec<QuietSeries>) -> Vec<u32> {
        let mut numbers: Vec<u32> = found.into_iter().map(|series| series.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Goal: whatever was added is found by labels, matchers and span until it is taken, however
    /// it was grouped, and a checkpoint gives the same back. Method: ten thousand series added by
    /// the hundred, so that they are sorted together in between; every seventh taken.
    #[test]
    fn what_is_quiet_is_found_until_it_comes_back() {
        let mut quiet = Quiet::default();
        let all: Vec<u32> = (0..10_000).collect();
        for some in all.chunks(100) {
            quiet.add(some.iter().map(|number| series(*number)).collect());
        }
        assert!(quiet.groups.values().any(|group| group.is_sorted));
        for number in (0..10_000).step_by(7) {
            let taken = quiet.take(&series(number).labels).unwrap();
            assert_eq!((taken.number, taken.head.last_at), (number, i64::from(number) * 1000));
            assert!(quiet.take(&taken.labels).is_none() && quiet.find(&taken.labels).is_none());
        }
        let mut again = Quiet::default();
        quiet
            .each_section(|section| {
                again.add_section(section).unwrap();
                assert!(Quiet::default().add_section(&section[..section.len() - 1]).is_none());
                Ok(())
            })
            .unwrap();
        again.ready();
        for quiet in [&mut quiet, &mut again] {
            let left = |from: u32, is: &dyn Fn(u32) -> bool| -> Vec<u32> {
                (from..10_000).filter(|n| n % 7 > 0 && is(*n)).collect()
            };
            assert_eq!(quiet.len(), left(0, &|_| true).len());
            let named = [Matcher::equal("__name__", "m3")];
            assert_eq!(numbers(quiet.matching(&named, 0)), left(0, &|n| n % 10 == 3));
            // Alive after 9,000 s: those from 9,001 on.
            assert_eq!(numbers(quiet.matching(&named, 9_000_000)), left(9001, &|n| n % 10 == 3));
            let pods = [Matcher::new("instance", MatcherOp::Match, "pod99[0-9]").unwrap()];
            assert_eq!(numbers(quiet.matching(&pods, 0)), left(9900, &|_| true));
            assert_eq!(quiet.find(&series(5).labels).unwrap().number, 5);
            assert_eq!(numbers(quiet.all_from(9990)), left(9990, &|_| true));
            quiet.remove(&[5, 9999]);
            assert!(quiet.find(&series(5).labels).is_none());
        }
        assert!(quiet.bytes() < 10_000 * 40, "{} bytes", quiet.bytes());
        let expired = numbers(quiet.expire(i64::MAX));
        assert_eq!((expired.len(), quiet.len(), quiet.bytes()), (8_569, 0, 0));
    }
}
