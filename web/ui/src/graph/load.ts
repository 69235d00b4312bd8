/** Keeps the numbers of one graph current: all of them once, then only what is new. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { messageOf, queryRange } from "../api/client";
import { serverTime } from "../state/clock";
import { type Frame, frameOf, join } from "./frame";
import { boundsOf, type Range, withWindow } from "./range";

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

/** A graph in sight is kept current; one that is not is read once, later, or not at all. */
export type Sight = "live" | "once" | "none";

export function useFrame(exprs: readonly string[], range: Range, sight: Sight): { loaded: Signal<Loaded | null>; failure: Signal<string | null> } {
  const loaded = useSignal<Loaded | null>(null);
  const failure = useSignal<string | null>(null);
  const question = JSON.stringify([exprs, range]);
  const known = useRef<{ question: string; frame: Frame } | null>(null);
  useEffect(() => {
    const isKnown = known.current?.question === question;
    if (sight === "none" || (sight === "once" && isKnown)) return;
    const abort = new AbortController();
    let isAsking = false;

    const read = async (): Promise<void> => {
      const { start, end, step } = boundsOf(range, serverTime() / 1000);
      const before = known.current;
      const frame = before?.question === question && before.frame.step === step ? before.frame : null;
      const since = frame ? Math.max(start, frame.start + (frame.length - OVERLAP_STEPS) * step) : start;
      isAsking = true;
      try {
        const answer = frameOf(await queryRange({ exprs: withWindow(exprs, step), start: since, end, step }, abort.signal));
        const joined = frame ? join(frame, answer, start) : answer;
        known.current = { question, frame: joined };
        failure.value = null;
        loaded.value = { from: start, to: Math.max(end, start + step), frame: joined };
      } catch (error) {
        if (!abort.signal.aborted) failure.value = messageOf(error);
      } finally {
        isAsking = false;
      }
    };

    const isMoving = range.kind === "last" || range.to > serverTime() / 1000;
    if (isMoving || !isKnown) void read();
    const timer =
      isMoving && sight === "live"
        ? setInterval(() => {
            if (!document.hidden && !isAsking) void read();
          }, REFRESH_MS)
        : undefined;
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [question, sight]);
  return { loaded, failure };
}
