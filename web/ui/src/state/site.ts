/** The state of the whole site, kept current by the stream: what every page's frame shows. */

import { batch, computed, signal } from "@preact/signals";
import { messageOf, overview as readOverview } from "../api/client";
import type { CheckView, ConfigStatus, Overview } from "../api/types";
import { setServerAge } from "../graph/range";
import { compareProblems, isHandled, isProblem, keyOf, severityOf } from "../status";
import { serverTime, setServerTime } from "./clock";
import { listen } from "./stream";

/** All but the problems is as of the last reading; hosts' own states are kept current. */
export const overview = signal<Overview | null>(null);
export const failure = signal<string | null>(null);
/** When the server last said anything, by its own clock. */
export const heardAt = signal<number | null>(null);
export const config = signal<ConfigStatus | null>(null);

const open = signal<ReadonlyMap<string, CheckView>>(new Map());

export const problems = computed(() => [...open.value.values()].sort(compareProblems));
/** Confirmed problems that nobody takes care of: what the title and the icon count. */
export const unhandled = computed(() => problems.value.filter((check) => check.state_type === "hard" && !isHandled(check)));
/** The worst problem of each host's checks. */
export const worstByHost = computed(() => {
  const worst = new Map<string, CheckView>();
  for (const check of problems.value) {
    const known = worst.get(check.host);
    if (check.check !== null && (!known || severityOf(check.status) > severityOf(known.status))) worst.set(check.host, check);
  }
  return worst;
});
export const hosts = computed(() => overview.value?.hosts ?? []);
export const counts = computed(() => overview.value?.counts ?? null);

/** Changes are gathered this long, so that a thousand at once draw the page once. Milliseconds. */
const GATHER_MS = 100;
/** Between two readings of everything that changed states call for, in milliseconds. */
const REREAD_MS = 1500;
/** Reads everything again in any case, in milliseconds: a stream may die without a word. */
const POLL_MS = 60_000;

let reading: Promise<void> | null = null;

/** Reads everything; calls while one is under way share it. */
export function readSite(): Promise<void> {
  reading ??= readOverview()
    .then((answer) => {
      batch(() => {
        setServerTime(answer.now);
        heardAt.value = answer.now;
        if (overview.value === null) setServerAge((answer.now - answer.started_at) / 1000);
        overview.value = answer;
        config.value = answer.config;
        open.value = new Map(answer.problems.map((check) => [keyOf(check), check]));
        failure.value = null;
      });
    })
    .catch((error: unknown) => {
      failure.value = messageOf(error);
    })
    .finally(() => {
      reading = null;
    });
  return reading;
}

/** Applies changes to the open problems; tells whether any status became different. */
export function applyChecks(known: Map<string, CheckView>, changes: Iterable<CheckView>): boolean {
  let isChanged = false;
  for (const check of changes) {
    const key = keyOf(check);
    const before = known.get(key);
    if (isProblem(check.status)) known.set(key, check);
    else known.delete(key);
    isChanged ||= before?.status !== (isProblem(check.status) ? check.status : undefined);
  }
  return isChanged;
}

export function startSite(): void {
  const gathered = new Map<string, CheckView>();
  let gathering: ReturnType<typeof setTimeout> | undefined;
  let rereading: ReturnType<typeof setTimeout> | undefined;

  const apply = (): void => {
    gathering = undefined;
    const known = new Map(open.value);
    const isChanged = applyChecks(known, gathered.values());
    const site = overview.value;
    const states = new Map([...gathered.values()].filter((check) => check.check === null).map((check) => [check.host, check]));
    batch(() => {
      open.value = known;
      if (site && states.size > 0) {
        overview.value = { ...site, hosts: site.hosts.map((host) => ({ ...host, state: states.get(host.name) ?? host.state })) };
      }
      heardAt.value = serverTime();
    });
    gathered.clear();
    // Counts come from the server: a stream of changes does not say what they were before.
    if (isChanged) {
      rereading ??= setTimeout(() => {
        rereading = undefined;
        void readSite();
      }, REREAD_MS);
    }
  };

  listen({
    check: (check) => {
      gathered.set(keyOf(check), check);
      gathering ??= setTimeout(apply, GATHER_MS);
    },
    config: (status) => {
      config.value = status;
      void readSite();
    },
    resync: () => void readSite(),
  });
  setInterval(() => void readSite(), POLL_MS);
  void readSite();
}
