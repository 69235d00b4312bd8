//! Looks at the server's own machine.

use std::sync::Arc;

use noroshi_model::Timestamp;
use parking_lot::Mutex;

use super::{Ground, HostLook};
use crate::plugin::understand_passive;
use crate::probe::Finding;

/// Looks of this machine that have not come back: one that hangs is not begun again.
#[derive(Debug, Default)]
pub(crate) struct Looking(Arc<Mutex<Vec<HostLook>>>);

/// Looks at this machine.
pub(crate) async fn look_here(look: &HostLook, looking: &Looking, now: Timestamp) -> Finding {
    let under_way = Arc::clone(&looking.0);
    if under_way.lock().contains(look) {
        return Finding::unknown("the look before has not come back: does a file system hang?");
    }
    under_way.lock().push(look.clone());
    let look = look.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let seen = look.look(&Ground::here(None, now));
        under_way.lock().retain(|other| *other != look);
        seen
    });
    let Ok((status, output)) = looked.await else {
        return Finding::unknown("the look failed by a bug in the server");
    };
    let understood = understand_passive(status, &output);
    let mut finding = Finding::new(status, understood.output);
    finding.perfdata = understood.perfdata;
    finding
}
