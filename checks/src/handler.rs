//! Event handlers: what runs when a state changes, soft or hard.

use std::collections::BTreeMap;
use std::sync::Arc;

use noroshi_model::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::board::HandlerCall;
use crate::plugin::{run, understand};
use crate::probe::http::post_json;
use crate::spec::HandlerAction;

/// Runs handlers as they come, at most `at_once`, until the channel is closed.
pub(crate) async fn run_all(
    mut calls: mpsc::Receiver<HandlerCall>,
    at_once: usize,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            call = calls.recv(), if running.len() < at_once => match call {
                Some(call) => drop(running.spawn(run_one(call, Arc::clone(&clock)))),
                None => break,
            },
            Some(_) = running.join_next() => {}
            () = stop.cancelled() => break,
        }
    }
    running.shutdown().await;
}

async fn run_one(call: HandlerCall, clock: Arc<dyn Clock>) {
    match &call.spec.action {
        HandlerAction::Command { argv } => {
            let argv = call.macros.expand_all(argv, &[]);
            let ran = run(&argv, &BTreeMap::new(), call.spec.timeout).await;
            let said = understand(&ran.exit, &ran.stdout, &ran.stderr);
            tracing::info!(
                check = %call.id,
                status = %call.view.status.map_or("pending", noroshi_model::Status::as_str),
                exit = ?ran.exit,
                output = said.output,
                "event handler ran"
            );
        }
        HandlerAction::Url { url } => {
            let url = call.macros.expand(url, &[]);
            let json = serde_json::to_string(&call.view).unwrap_or_default();
            match post_json(&url, json, call.spec.timeout, clock.now()).await {
                Ok(()) => tracing::info!(check = %call.id, url, "event handler called"),
                Err(why) => tracing::error!(check = %call.id, url, why, "event handler failed"),
            }
        }
    }
}
