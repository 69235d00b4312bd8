//! Packed frames that wait for the server: the newest in memory, the older ones on disk.
//!
//! While the server answers, nothing is written: a frame goes from memory to the server. From the
//! first failure on, frames go to disk, so that a kill then loses nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use super::counters::{Counters, DropReason};
use super::spool::{Spool, SpoolError};

/// Most bytes in memory: half an hour of a host with 400 series and a step of 10 s. Beyond it, they
/// go to disk, or the oldest are given up when there is none.
const MEMORY_BYTES_MAX: usize = 1 << 20;

/// Frames, oldest first.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Always younger than what is in the spool.
    memory: VecDeque<(u64, Vec<u8>)>,
    next_id: u64,
    spool: Option<Spool>,
    /// The server did not take the last body: frames go to disk.
    is_failing: bool,
    counters: Arc<Counters>,
}

/// The oldest frames, to be sent together.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) frames: Vec<Vec<u8>>,
    origin: Origin,
}

#[derive(Clone, Copy, Debug)]
enum Origin {
    /// The number of the spool's file.
    Spool(u64),
    /// The id of the last frame.
    Memory(u64),
}

impl Queue {
    pub(crate) fn new(spool: Option<Spool>, counters: Arc<Counters>) -> Self {
        let queue =
            Self { memory: VecDeque::new(), next_id: 0, spool, is_failing: false, counters };
        queue.publish();
        queue
    }

    /// Returns how many frames wait.
    pub(crate) fn frames(&self) -> u64 {
        self.memory.len() as u64 + self.spool.as_ref().map_or(0, Spool::frames)
    }

    /// Adds the newest frame.
    pub(crate) fn push(&mut self, frame: Vec<u8>) {
        self.memory.push_back((self.next_id, frame));
        self.next_id += 1;
        if self.is_failing || self.memory_bytes() > MEMORY_BYTES_MAX {
            self.spill();
        }
        while self.memory_bytes() > MEMORY_BYTES_MAX {
            self.memory.pop_front();
            self.counters.count_dropped(DropReason::Full, 1);
        }
        self.publish();
    }

    /// Returns the oldest frames, at most `frames_max` of them and, but for the first, `bytes_max`
    /// bytes; `None` when nothing waits.
    pub(crate) fn front(&mut self, frames_max: usize, bytes_max: usize) -> Option<Parcel> {
        if let Some(spool) = &mut self.spool {
            match spool.front(frames_max, bytes_max) {
                Ok(Some(front)) => {
                    let origin = Origin::Spool(front.number);
                    return Some(Parcel { frames: front.frames, origin });
                }
                Ok(None) => {}
                Err(error) => report(&error),
            }
        }
        let mut bytes = 0;
        let fits = |(_, frame): &&(u64, Vec<u8>)| {
            bytes += frame.len();
            bytes <= bytes_max || bytes == frame.len()
        };
        let taken = self.memory.iter().take(frames_max.max(1)).take_while(fits);
        let (ids, frames): (Vec<u64>, Vec<Vec<u8>>) = taken.cloned().unzip();
        Some(Parcel { frames, origin: Origin::Memory(*ids.last()?) })
    }

    /// Removes frames that the server has taken or will never take.
    pub(crate) fn remove(&mut self, parcel: &Parcel) {
        match (parcel.origin, &mut self.spool) {
            (Origin::Memory(last), _) => self.memory.retain(|(id, _)| *id > last),
            (Origin::Spool(number), Some(spool)) => spool.remove(number, parcel.frames.len()),
            (Origin::Spool(_), None) => {}
        }
        self.publish();
    }

    /// Says that the server takes frames again.
    pub(crate) fn succeeded(&mut self) {
        self.is_failing = false;
    }

    /// Says that the server did not take a parcel: what is in memory goes to disk.
    pub(crate) fn failed(&mut self) {
        self.is_failing = true;
        self.spill();
        self.publish();
    }

    /// Brings everything to disk, at the end.
    pub(crate) fn close(&mut self) {
        self.spill();
        if let Some(Err(error)) = self.spool.as_mut().map(Spool::close) {
            report(&error);
        }
        self.publish();
    }

    /// Tells whether frames outlive this run.
    pub(crate) fn has_spool(&self) -> bool {
        self.spool.is_some()
    }

    /// Moves what is in memory to the spool, if there is one.
    fn spill(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        let mut lost = 0;
        for (_, frame) in self.memory.drain(..) {
            match spool.append(&frame) {
                Ok(0) => {}
                Ok(dropped) => self.counters.count_dropped(DropReason::Full, dropped),
                Err(error) => {
                    if lost == 0 {
                        report(&error);
                    }
                    lost += 1;
                }
            }
        }
        self.counters.count_dropped(DropReason::Spool, lost);
    }

    fn memory_bytes(&self) -> usize {
        self.memory.iter().map(|(_, frame)| frame.len()).sum()
    }

    fn publish(&self) {
        let bytes = self.spool.as_ref().map_or(0, Spool::bytes);
        self.counters.set_waiting(self.frames(), bytes);
    }
}

fn report(error: &SpoolError) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "unsent readings are lost");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ship::pack;

    fn frame(text: &str) -> Vec<u8> {
        pack::compress(text.as_bytes()).unwrap()
    }

    fn drain(queue: &mut Queue) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(parcel) = queue.front(2, usize::MAX) {
            queue.remove(&parcel);
            all.extend(parcel.frames);
        }
        all
    }

    #[test]
    fn order_is_kept_from_memory_over_disk_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        let mut queue = Queue::new(Some(spool), Arc::default());
        let frames = ["a", "b", "c", "d", "e"].map(frame);
        queue.push(frames[0].clone());
        assert_eq!(queue.spool.as_ref().unwrap().frames(), 0, "nothing is written while it goes");
        queue.failed();
        queue.push(frames[1].clone());
        queue.push(frames[2].clone());
        assert_eq!(queue.spool.as_ref().unwrap().frames(), 3);
        queue.succeeded();
        queue.push(frames[3].clone());
        queue.push(frames[4].clone());
        assert_eq!(queue.memory.len(), 2);
        assert_eq!(drain(&mut queue), frames);
    }

    #[test]
    fn a_parcel_whose_frames_went_to_disk_meanwhile_is_not_removed_from_there() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        let mut queue = Queue::new(Some(spool), Arc::default());
        queue.push(frame("a"));
        let parcel = queue.front(9, usize::MAX).unwrap();
        queue.failed();
        queue.remove(&parcel);
        assert_eq!(queue.frames(), 1, "it is sent twice rather than lost");
    }

    #[test]
    fn without_a_disk_the_oldest_are_given_up_and_counted() {
        let counters = Arc::new(Counters::default());
        let mut queue = Queue::new(None, Arc::clone(&counters));
        queue.failed();
        for number in 0..5_u8 {
            queue.push(vec![number; MEMORY_BYTES_MAX / 4]);
        }
        assert_eq!((queue.frames(), counters.dropped()), (4, 1));
        assert_eq!(queue.front(1, 1).unwrap().frames[0][0], 1);
    }
}
