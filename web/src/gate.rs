//! Bounds the heavy work: queries, drawing and password hashes run beside the runtime's threads,
//! only so many at once, and only so many wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::error::ApiError;

/// How many password hashes are computed at once: each takes 19 MiB and 30 ms of a core, and
/// signing in is rare.
const HASHES_MAX: usize = 2;
/// How many requests may wait for each kind of work; further ones are told to come again.
/// A page asks for some twenty graphs at once, so a handful of wall screens fits.
const WAITING_MAX: usize = 128;

/// Admits heavy work.
#[derive(Debug)]
pub(crate) struct Gate {
    queries: Lane,
    hashes: Lane,
}

#[derive(Debug)]
struct Lane {
    places: Semaphore,
    waiting: AtomicUsize,
}

impl Lane {
    fn new(places: usize) -> Self {
        Self { places: Semaphore::new(places), waiting: AtomicUsize::new(0) }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let waiting = Waiting::enter(&self.waiting)?;
        let place = self.places.acquire().await.map_err(|_| ApiError::Busy)?;
        drop(waiting);
        let done = tokio::task::spawn_blocking(work).await;
        drop(place);
        done.map_err(|error| ApiError::internal("a request's work panicked", &error))
    }
}

/// Counts one that waits, also when its request is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, ApiError> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let entered = Self(count);
        if before < WAITING_MAX { Ok(entered) } else { Err(ApiError::Busy) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    /// Returns a gate for this machine: as many queries at once as it has cores, two at least.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { queries: Lane::new(cores.max(2)), hashes: Lane::new(HASHES_MAX) }
    }

    /// Runs a query or a drawing. Cancel: work that has begun goes on, its result is dropped.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        self.queries.run(work).await
    }

    /// Runs work that hashes a password.
    pub(crate) async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        self.hashes.run(work).await
    }

    /// Runs small work that may wait for the disk.
    pub(crate) async fn disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| ApiError::internal("a request's work panicked", &error))
    }

    /// Returns how many requests wait for a query's place, and for a hash's.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.queries.waiting.load(Ordering::Relaxed), self.hashes.waiting.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn only_so_many_wait_and_the_others_are_told_to_come_again() {
        let lane = Arc::new(Lane::new(1));
        let place = lane.places.acquire().await.unwrap();
        let waiting: Vec<_> = (0..WAITING_MAX)
            .map(|number| {
                let lane = Arc::clone(&lane);
                tokio::spawn(async move { lane.run(move || number).await.unwrap() })
            })
            .collect();
        while lane.waiting.load(Ordering::Relaxed) < WAITING_MAX {
            tokio::task::yield_now().await;
        }
        assert!(matches!(lane.run(|| 0).await, Err(ApiError::Busy)));
        drop(place);
        for (number, task) in waiting.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), number);
        }
        assert_eq!(lane.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn work_that_panics_fails_alone() {
        let lane = Lane::new(1);
        let failed = lane.run(|| [0u8; 0].iter().max().copied().expect("none")).await;
        assert!(matches!(failed, Err(ApiError::Internal)));
        assert_eq!(lane.run(|| 1).await.unwrap(), 1);
    }
}
