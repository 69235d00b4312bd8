/** The state of the whole site, kept current by the stream: what every page's frame shows. */

import { batch, computed, signal } from "@preact/signals";
import { messageOf, overview as readOverview } from "../api/client";
import type { CheckView, ConfigStatus, Overview } from "../api/types";
import { setServerAge } from "../graph/range";
import { compareProblems, isHandled, keyOf, severityOf } from "../status";
import { serverTime, setServerTime } from "./clock";
import { applyChecks, recounted } from "./recount";
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
/** On a large site a reading is large: a storm must not make every page read it again and again. */
const REREAD_MS_PER_HOST = 5;
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

export function startSite(): void {
  const gathered = new Map<string, CheckView>();
  let gathering: ReturnType<typeof setTimeout> | undefined;
  let rereading: ReturnType<typeof setTimeout> | undefined;

  const apply = (): void => {
    gathering = undefined;
    const known = new Map(open.value);
    const shifts = applyChecks(known, gathered.values());
    const site = overview.value;
    batch(() => {
      open.value = known;
      if (site) overview.value = recounted(site, gathered.values(), shifts);
      heardAt.value = serverTime();
    });
    gathered.clear();
    // What we counted is right but for what was pending: the server's word is final.
    if (shifts.length > 0) {
      const pause = REREAD_MS + (site?.hosts.length ?? 0) * REREAD_MS_PER_HOST;
      rereading ??= setTimeout(() => {
        rereading = undefined;
        void readSite();
      }, pause);
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
