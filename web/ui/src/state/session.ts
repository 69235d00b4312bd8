/** Who is signed in, and what they may do. */

import { computed, signal } from "@preact/signals";
import { session as readSession } from "../api/client";
import type { Session } from "../api/types";

export const session = signal<Session | null>(null);

/** Whether the reader may acknowledge, set downtimes and the like. */
export const canAct = computed(() => session.value?.role === "operator" || session.value?.role === "admin");
export const isAdmin = computed(() => session.value?.role === "admin");

export async function loadSession(): Promise<void> {
  session.value = await readSession();
}
