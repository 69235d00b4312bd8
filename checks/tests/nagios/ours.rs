//! Our side: checks that take results from outside.

use super::*;

pub(crate) struct Ours {
    pub(crate) checks: Arc<Checks>,
    pub(crate) clock: Arc<ManualClock>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Ours {
    pub(crate) fn start(subjects: &[Subject], is_flapping_found: bool) -> Self {
        let passive = || Probe::Passive(PassiveProbe::default());
        let mut site = Site { hosts: vec![HostSpec::new("calm", "127.0.0.1")], ..Site::default() };
        let flapping = FlappingSpec { is_enabled: is_flapping_found, low: 20.0, high: 30.0 };
        for subject in subjects {
            if subject.id.is_host() {
                let mut host = HostSpec::new(&subject.id.host, "127.0.0.1");
                host.probe = Some(passive());
                host.timing.attempts_max = subject.attempts_max;
                host.flapping = flapping;
                host.parents.extend(subject.parent.clone());
                site.hosts.push(host);
            } else {
                let mut check = CheckSpec::new(subject.id.clone(), passive());
                check.timing.attempts_max = subject.attempts_max;
                check.is_volatile = subject.is_volatile;
                check.flapping = flapping;
                check.depends.extend(subject.master.clone());
                site.checks.push(check);
            }
        }
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
        let checks = Checks::new(Deps {
            clock: Arc::clone(&clock) as _,
            records: Arc::new(MemoryRecords::new()),
            series: Arc::new(no_series()),
            sink: Arc::new(Nothing),
        })
        .unwrap();
        checks.apply(site);
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&checks).run(stop.clone()));
        Self { checks, clock, stop, running }
    }

    pub(crate) async fn submit(&self, subjects: &[Subject], codes: &[u8], round: usize) {
        for (subject, code) in subjects.iter().zip(codes) {
            let statuses = if subject.id.is_host() {
                [Status::Up, Status::Down, Status::Down, Status::Down]
            } else {
                [Status::Ok, Status::Warning, Status::Critical, Status::Unknown]
            };
            let result = PassiveResult {
                id: subject.id.clone(),
                status: statuses[usize::from(*code)],
                output: format!("round {round}"),
                at: None,
                origin: Origin::Passive,
            };
            self.clock.advance(Duration::from_millis(1));
            self.checks.submit(result).await.unwrap();
        }
    }

    /// Returns how many problems were told: confirmed, with nothing in their way; and whether there
    /// was a downtime.
    pub(crate) fn told(&self, id: &CheckId) -> (usize, bool) {
        let (mut told, mut had_downtime) = (0, false);
        for event in self.checks.events(Some(id), None, 1000) {
            had_downtime |= matches!(event.body, EventBody::DowntimeStarted { .. });
            let EventBody::State(change) = event.body else { continue };
            let is_problem =
                matches!(change.kind, ChangeKind::HardProblem | ChangeKind::HardRepeat);
            let is_marked = change.is_in_downtime || change.is_acknowledged;
            told += usize::from(is_problem && change.blocked_by.is_empty() && !is_marked);
        }
        (told, had_downtime)
    }

    pub(crate) fn shown(&self, id: &CheckId) -> Shown {
        let view: CheckView = self.checks.check(id).unwrap();
        Shown {
            status: view.status.unwrap().code(),
            is_hard: view.state_type == StateType::Hard,
            attempt: view.attempt,
            is_flapping: view.is_flapping,
            flapping: (view.flapping_percent * 100.0).round() as i64,
            is_acknowledged: view.is_acknowledged,
            is_in_downtime: view
                .downtimes
                .iter()
                .any(|d| d.is_active && d.is_of_host == id.is_host()),
            round: view.output,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// Takes samples and forgets them.
pub(crate) struct Nothing;

impl Sink for Nothing {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        let stored = batch.samples.len();
        Box::pin(async move { Ok(Accepted { stored, ..Accepted::default() }) })
    }
}
