/** Where the reader is. Plain links work: a click on one of ours does not leave the page. */

import { computed, signal } from "@preact/signals";

const current = signal(location.pathname + location.search);

export const path = computed(() => new URL(current.value, location.origin).pathname);
export const search = computed(() => new URL(current.value, location.origin).searchParams);

/** Goes to an address of ours; `replace` leaves no step to go back to. */
export function navigate(to: string, options: { replace?: boolean; keepScroll?: boolean } = {}): void {
  if (to === current.value) return;
  const leavesPage = new URL(to, location.origin).pathname !== path.value;
  if (options.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  current.value = to;
  if (leavesPage && !options.keepScroll) window.scrollTo(0, 0);
}

/** Changes parameters of the address and keeps the rest; `null` removes one. */
export function setSearch(changes: Record<string, string | null>, options: { replace?: boolean } = {}): void {
  const next = new URLSearchParams(search.value);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
  }
  replaceSearch(next, options);
}

/** Sets all parameters of the address. */
export function replaceSearch(next: URLSearchParams, options: { replace?: boolean } = {}): void {
  const text = next.toString();
  navigate(path.value + (text ? `?${text}` : ""), { ...options, keepScroll: true });
}

/** Addresses that the server answers itself. */
const SERVER_PATHS = /^\/(api|agent|prometheus|graph\.|metrics|healthz|readyz|sign-)/;

/** Starts to follow clicks and the browser's back and forward. */
export function startRouter(): void {
  window.addEventListener("popstate", () => {
    current.value = location.pathname + location.search;
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link?.href || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (SERVER_PATHS.test(link.pathname) || link.hash) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}

const encode = encodeURIComponent;

/** The address of a host's page. */
export const hostPath = (host: string): string => `/hosts/${encode(host)}`;

/** The address of a check's page; of the host's page for a host's own state. */
export const checkPath = (id: { host: string; check: string | null }): string =>
  id.check === null ? hostPath(id.host) : `${hostPath(id.host)}/checks/${encode(id.check)}`;

/** The address of the page that changes a host that was added here. */
export const changeHostPath = (host: string): string => `/change-host?host=${encode(host)}`;

export type Route =
  | { page: "overview" | "problems" | "hosts" | "events" | "notifications" | "availability" | "explore" | "settings" | "wall" | "missing" }
  | { page: "host-form"; edited: string | null }
  | { page: "host"; host: string }
  | { page: "check"; host: string; check: string };

const SIMPLE = { "/": "overview", "/problems": "problems", "/hosts": "hosts", "/events": "events", "/notifications": "notifications", "/availability": "availability", "/explore": "explore", "/settings": "settings", "/wall": "wall" } as const;

/** Reads an address. `/check?host=&check=` and `/host?host=` are understood for links from outside. */
export function routeOf(pathname: string, query: URLSearchParams): Route {
  const simple = SIMPLE[pathname as keyof typeof SIMPLE] as (typeof SIMPLE)[keyof typeof SIMPLE] | undefined;
  if (simple) return { page: simple };
  if (pathname === "/add-host") return { page: "host-form", edited: null };
  if (pathname === "/change-host") return { page: "host-form", edited: query.get("host") ?? "" };
  const parts = pathname.split("/").slice(1).map(decode);
  const [first, host, kind, ...rest] = parts;
  if (first === "hosts" && host) {
    if (kind === undefined || (kind === "" && rest.length === 0)) return { page: "host", host };
    if (kind === "checks" && rest.length > 0) return { page: "check", host, check: rest.join("/") };
  }
  const named = query.get("host");
  const check = query.get("check");
  if (first === "check" || first === "host") {
    if (named && check) return { page: "check", host: named, check };
    if (named) return { page: "host", host: named };
  }
  return { page: "missing" };
}

/** A hand-written address may hold a lone `%`. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = computed(() => routeOf(path.value, search.value));
