//! Heartbeats: what calls in, and how long its work took.

use noroshi_model::{CheckId, Origin, Perfdata, Timestamp, Unit};

use super::Board;
use crate::action::{ActionError, Heartbeat, PassiveResult};
use crate::probe::{Judging, Probe};
use crate::run::from_outside;
use crate::samples;

/// What stands in the place of words that a caller does not give.
const CALLED: &str = "called";

impl Board {
    /// Takes a call in; returns whether it was a result.
    pub(crate) fn heartbeat(
        &mut self,
        id: &CheckId,
        call: Heartbeat,
        now: Timestamp,
        steady: i64,
    ) -> Result<bool, ActionError> {
        let entry = self.entries.get(id);
        let entry = entry.ok_or_else(|| ActionError::NoSuchCheck { id: id.clone() })?;
        if !matches!(entry.probe(), Some(Probe::Passive(probe)) if probe.is_heartbeat) {
            return Err(ActionError::NotAHeartbeat { id: id.clone() });
        }
        let Heartbeat::Done { status, output } = call else {
            self.begun.insert(id.clone(), now);
            return Ok(false);
        };
        let output = if output.trim().is_empty() { CALLED.to_owned() } else { output };
        let (id, origin) = (id.clone(), Origin::Passive);
        let mut result = from_outside(PassiveResult { id, status, output, at: None, origin }, now)?;
        if let Some(begun) = self.begun.remove(&result.id) {
            result.started = begun.min(now);
            result.perfdata.push(Perfdata {
                label: "run_time".to_owned(),
                value: Some(now.since(result.started).as_secs_f64()),
                unit: Unit::Seconds,
                warning: None,
                critical: None,
                min: Some(0.0),
                max: None,
            });
        }
        let status = self.take_result(&result, Judging::default(), now, steady);
        samples::add(&mut self.out.samples, &result, &[], status);
        Ok(true)
    }
}
