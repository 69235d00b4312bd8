/** Server-sent events: one connection, opened again with growing pauses when it breaks. */

import { signal } from "@preact/signals";
import { ApiError, session } from "../api/client";
import type { CheckView, ConfigStatus, Event } from "../api/types";

export type Connection = "connecting" | "live" | "lost";

export const connection = signal<Connection>("connecting");

const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 30_000;
/** The server ends each stream after a while: only a longer silence is worth a word. Milliseconds. */
const LOST_AFTER_MS = 2500;

export interface Listener {
  check?: (check: CheckView) => void;
  event?: (event: Event) => void;
  config?: (config: ConfigStatus) => void;
  /** Read everything again: something was missed. */
  resync?: () => void;
}

const listeners = new Set<Listener>();

/** Hears what changes until the returned function is called. */
export function listen(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** How long to wait before try number `tries` (from 0), in milliseconds; `random` is 0 to 1. */
export function pauseAfter(tries: number, random: number): number {
  const pause = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** tries);
  // Half of it by chance: a hundred screens must not all return to a restarted server at once.
  return pause / 2 + (pause / 2) * random;
}

export function startStream(): void {
  let tries = 0;
  let isFirst = true;
  let losing: ReturnType<typeof setTimeout> | undefined;

  const open = (): void => {
    const source = new EventSource("/api/v1/events/stream");
    const on = (name: string, deliver: (listener: Listener, value: unknown) => void): void => {
      source.addEventListener(name, (message: MessageEvent<string>) => {
        const value: unknown = message.data ? JSON.parse(message.data) : null;
        for (const listener of [...listeners]) deliver(listener, value);
      });
    };
    on("check", (listener, value) => listener.check?.(value as CheckView));
    on("event", (listener, value) => listener.event?.(value as Event));
    on("config", (listener, value) => listener.config?.(value as ConfigStatus));
    on("resync", (listener) => listener.resync?.());
    source.onopen = () => {
      tries = 0;
      clearTimeout(losing);
      losing = undefined;
      connection.value = "live";
      if (!isFirst) for (const listener of [...listeners]) listener.resync?.();
      isFirst = false;
    };
    source.onerror = () => {
      source.close();
      if (connection.value === "live") connection.value = "connecting";
      losing ??= setTimeout(() => (connection.value = "lost"), LOST_AFTER_MS);
      setTimeout(() => void again(), pauseAfter(tries, Math.random()));
      tries += 1;
    };
  };

  const again = async (): Promise<void> => {
    try {
      // An event source does not tell a refusal from a broken line; this does, and signs in.
      await session();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
    }
    open();
  };

  open();
}
