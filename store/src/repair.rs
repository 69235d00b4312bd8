//! Chains with a damaged block: what is behind it is found by reading through the ring once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::block::Place;
use crate::ring::{Ring, RingError};

/// Broken chains that are remembered; more than that and the disk is beyond repair.
const REPAIRS_MAX: usize = 10_000;

/// Class, archive and series of a chain.
pub(crate) type ChainKey = (usize, usize, u32);

/// Blocks of broken chains, oldest first, as found when the damage was met.
#[derive(Default)]
pub(crate) struct Repairs {
    found: Mutex<HashMap<ChainKey, Arc<[Place]>>>,
}

impl Repairs {
    /// Returns the blocks of a series in a ring that were written before `damaged`, oldest first.
    pub(crate) fn before(
        &self,
        key: ChainKey,
        ring: &Ring,
        damaged: Place,
    ) -> Result<Vec<Place>, RingError> {
        let known = self.found.lock().get(&key).cloned();
        let places = match known {
            Some(places) => places,
            None => self.look(key, ring)?,
        };
        let order = |place: &Place| (place.extent, place.offset());
        let older = places.iter().filter(|place| order(place) < order(&damaged));
        Ok(older.copied().collect())
    }

    fn look(&self, key: ChainKey, ring: &Ring) -> Result<Arc<[Place]>, RingError> {
        tracing::warn!(series = key.2, "a damaged block: reading through its ring for the others");
        let mut places = Vec::new();
        ring.scan(|place, block| {
            if block.header.series == key.2 {
                places.push(place);
            }
        })?;
        let places: Arc<[Place]> = places.into();
        let mut found = self.found.lock();
        if found.len() < REPAIRS_MAX {
            found.insert(key, Arc::clone(&places));
        }
        Ok(places)
    }
}
