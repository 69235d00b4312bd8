/** Short words at the edge of the screen on what an action did. */

import { signal } from "@preact/signals";
import { messageOf } from "../api/client";

export interface Toast {
  id: number;
  text: string;
  isError: boolean;
}

export const toasts = signal<Toast[]>([]);

/** How long one is shown, in milliseconds; a failure stays twice as long. */
const SHOWN_MS = 4000;

/** Older ones give way. */
const TOASTS_MAX = 3;

let nextId = 1;

export function toast(text: string, isError = false): void {
  const id = nextId;
  nextId += 1;
  toasts.value = [...toasts.value, { id, text, isError }].slice(-TOASTS_MAX);
  setTimeout(() => dismiss(id), isError ? SHOWN_MS * 2 : SHOWN_MS);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((item) => item.id !== id);
}

/** Does something and says how it went; tells whether it succeeded. */
export async function attempt(done: string, action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    toast(done);
    return true;
  } catch (error) {
    toast(messageOf(error), true);
    return false;
  }
}
