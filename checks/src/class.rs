//! Classes of runs: what each kind of run waits for, so that one kind never keeps another waiting.

use crate::probe::{NrpeTls, Probe};

/// What limits how many runs of a kind are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Open files.
    Probe,
    /// Places of plug-ins.
    Plugin,
    /// Processor time.
    Expression,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 3] = [Self::Probe, Self::Plugin, Self::Expression];

    /// Returns what a run of a probe waits for.
    pub(crate) fn of(probe: &Probe) -> Self {
        match probe {
            Probe::Plugin(_) => Self::Plugin,
            // It runs `openssl`.
            Probe::Nrpe(probe) if probe.tls == NrpeTls::Anonymous => Self::Plugin,
            Probe::Expression(_) => Self::Expression,
            _ => Self::Probe,
        }
    }
}

/// How many more runs of each class may begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room(pub(crate) [usize; Class::ALL.len()]);

impl Room {
    /// Room for all that is due.
    #[cfg(test)]
    pub(crate) const ALL: Self = Self([usize::MAX; Class::ALL.len()]);

    /// Tells whether there is room for one more.
    pub(crate) fn has(&self, class: Class) -> bool {
        self.0[class as usize] > 0
    }

    /// Takes the room that one run needs.
    pub(crate) fn take(&mut self, class: Class) {
        self.0[class as usize] = self.0[class as usize].saturating_sub(1);
    }
}
