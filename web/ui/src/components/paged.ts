/** A log read from its end backwards, page by page, with what comes new put before it. */

import { useSignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { messageOf } from "../api/client";

export interface Paged<T> {
  rows: Signal<T[] | null>;
  failure: Signal<string | null>;
  /** Whether older rows may be there. */
  hasMore: Signal<boolean>;
  more: () => void;
  /** Reads the newest page again. */
  restart: () => void;
}

/** `read` gives the rows before a place, newest first; `question` tells whether to begin anew. */
export function usePaged<T>(question: string, pageSize: number, read: (before: T | undefined, signal: AbortSignal) => Promise<T[]>): Paged<T> {
  const rows = useSignal<T[] | null>(null);
  const failure = useSignal<string | null>(null);
  const hasMore = useSignal(false);
  const round = useSignal(0);
  const load = async (before: T | undefined, signal: AbortSignal): Promise<void> => {
    try {
      const found = await read(before, signal);
      rows.value = before === undefined ? found : [...(rows.value ?? []), ...found];
      hasMore.value = found.length >= pageSize;
      failure.value = null;
    } catch (error) {
      if (!signal.aborted) failure.value = messageOf(error);
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    void load(undefined, abort.signal);
    return () => abort.abort();
  }, [question, round.value]);
  return {
    rows,
    failure,
    hasMore,
    more: () => void load(rows.value?.at(-1), new AbortController().signal),
    restart: () => {
      round.value += 1;
    },
  };
}
