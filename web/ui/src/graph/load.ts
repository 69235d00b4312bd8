/** Keeps the numbers of one graph current: all of them once, then only what is new. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { messageOf, queryRange } from "../api/client";
import { serverTime } from "../state/clock";
import { type Frame, frameOf, join } from "./frame";
import { boundsOf, type Range, windowOf } from "./range";

export interface Loaded {
  /** Seconds since 1970: what the axis shows. */
  from: number;
  to: number;
  frame: Frame;
}

/** How often the newest points are asked for, in milliseconds: the agents' usual step. */
const REFRESH_MS = 10_000;
/** Points asked for again: late samples may have changed them. */
const OVERLAP_STEPS = 3;

export function useFrame(exprs: readonly string[], range: Range, isVisible: boolean): { loaded: Signal<Loaded | null>; failure: Signal<string | null> } {
  const loaded = useSignal<Loaded | null>(null);
  const failure = useSignal<string | null>(null);
  const question = JSON.stringify([exprs, range]);
  useEffect(() => {
    if (!isVisible) return;
    const abort = new AbortController();
    let frame: Frame | null = null;
    let isAsking = false;

    const read = async (): Promise<void> => {
      const now = serverTime() / 1000;
      const { start, end, step } = boundsOf(range, now);
      const filled = exprs.map((expr) => expr.replaceAll("$window", windowOf(step)).replaceAll("$__rate_interval", windowOf(step)));
      const known = frame?.step === step ? frame : null;
      const since = known ? Math.max(start, known.start + (known.length - OVERLAP_STEPS) * step) : start;
      isAsking = true;
      try {
        const answer = frameOf(await queryRange({ exprs: filled, start: since, end, step }, abort.signal));
        frame = known ? join(known, answer, start) : answer;
        failure.value = null;
        loaded.value = { from: start, to: Math.max(end, start + step), frame };
      } catch (error) {
        if (!abort.signal.aborted) failure.value = messageOf(error);
      } finally {
        isAsking = false;
      }
    };

    void read();
    const isMoving = range.kind === "last" || range.to > serverTime() / 1000;
    const timer = isMoving
      ? setInterval(() => {
          if (!document.hidden && !isAsking) void read();
        }, REFRESH_MS)
      : undefined;
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [question, isVisible]);
  return { loaded, failure };
}
