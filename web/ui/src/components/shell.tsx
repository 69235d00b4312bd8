/** The frame around every page: where one can go, who is here, whether it is current. */

import type { ComponentChildren } from "preact";
import { signOut } from "../api/client";
import { formatSince } from "../format/quantity";
import { path, route, type Route } from "../router";
import { now } from "../state/clock";
import { session } from "../state/session";
import { config, heardAt, overview, unhandled } from "../state/site";
import { connection } from "../state/stream";
import { theme, toggleTheme } from "../state/theme";
import { dismiss, toasts } from "../state/toast";
import { severityOf, toneOf } from "../status";
import { ActionDialogs } from "./actions";
import { Finder } from "./finder";
import { Icon, type IconName } from "./icon";
import { showHelp } from "./keyboard";
import { Banner, Menu } from "./parts";

interface Place {
  to: string;
  name: string;
  icon: IconName;
}

const PLACES: Place[] = [
  { to: "/", name: "Overview", icon: "overview" },
  { to: "/problems", name: "Problems", icon: "problems" },
  { to: "/hosts", name: "Hosts", icon: "hosts" },
  { to: "/events", name: "Events", icon: "events" },
  { to: "/notifications", name: "Notifications", icon: "notifications" },
  { to: "/availability", name: "Availability", icon: "calendar" },
  { to: "/explore", name: "Explore", icon: "explore" },
];
const TABS = PLACES.slice(0, 4);
const OTHERS: Place[] = [...PLACES.slice(4), { to: "/wall", name: "Wall screen", icon: "wall" }, { to: "/settings", name: "Settings", icon: "settings" }];

const isHere = (place: Place): boolean => (place.to === "/" ? path.value === "/" : path.value.startsWith(place.to) || (place.to === "/hosts" && route.value.page === "host-form"));

function Link({ place, kind }: { place: Place; kind: "nav-link" | "tab-link" }) {
  const open = unhandled.value;
  const worst = open.reduce((most, check) => (severityOf(check.status) > severityOf(most) ? check.status : most), open[0]?.status ?? "ok");
  return (
    <a class={kind} href={place.to} title={place.name} aria-current={isHere(place) ? "page" : undefined}>
      <Icon name={place.icon} size={18} />
      <span>{place.name}</span>
      {place.to === "/problems" && open.length > 0 && (
        <span class={`nav-count tone-${toneOf(worst)}`} aria-label={`${open.length} open`}>
          {open.length > 999 ? "999+" : open.length}
        </span>
      )}
    </a>
  );
}

export function Shell({ children }: { children: ComponentChildren }) {
  return (
    <div class="app">
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <nav class="nav" aria-label="Main">
        <a class="nav-brand" href="/" aria-label="Noroshi, overview">
          <Icon name="flame" size={22} />
          <span>Noroshi</span>
        </a>
        {PLACES.map((place) => (
          <Link key={place.to} place={place} kind="nav-link" />
        ))}
        <span class="nav-space" />
        {OTHERS.slice(3).map((place) => (
          <Link key={place.to} place={place} kind="nav-link" />
        ))}
        {overview.value && <span class="nav-version">Noroshi {overview.value.version}</span>}
      </nav>
      <div class="main">
        <Bar />
        <main class="page" id="main" tabIndex={-1}>
          <Banners />
          {children}
        </main>
      </div>
      <nav class="tabs-bottom" aria-label="Main">
        {TABS.map((place) => (
          <Link key={place.to} place={place} kind="tab-link" />
        ))}
        <a class="tab-link" href="/settings" aria-current={path.value === "/settings" ? "page" : undefined}>
          <Icon name="settings" size={18} />
          <span>Settings</span>
        </a>
      </nav>
      <ActionDialogs />
      <Toasts />
    </div>
  );
}

/** Where the reader is, in words. */
function Title({ at }: { at: Route }) {
  if (at.page === "host") return <b>{at.host}</b>;
  if (at.page === "host-form") return <b>{at.edited ?? "Add a host"}</b>;
  if (at.page === "check") {
    return (
      <>
        <a href={`/hosts/${encodeURIComponent(at.host)}`}>{at.host}</a> / <b>{at.check}</b>
      </>
    );
  }
  return <b>{[...PLACES, ...OTHERS].find((place) => isHere(place))?.name ?? "Not found"}</b>;
}

function Bar() {
  return (
    <header class="bar">
      <a class="bar-brand" href="/" aria-label="Noroshi, overview">
        <Icon name="flame" size={22} />
      </a>
      <span class="bar-title">
        <Title at={route.value} />
      </span>
      <span class="bar-space" />
      <Finder />
      <Live />
      <button class="button" data-kind="quiet" data-size="icon" data-testid="theme" aria-label={theme.value === "dark" ? "Use the light theme" : "Use the dark theme"} title="Dark or light" onClick={toggleTheme}>
        <Icon name={theme.value === "dark" ? "sun" : "moon"} />
      </button>
      <Menu icon="user" label="Account" testId="account-menu">
        {session.value && (
          <div class="menu-note">
            {session.value.user} · {session.value.role}
          </div>
        )}
        {OTHERS.map((place) => (
          <a key={place.to} href={place.to}>
            <Icon name={place.icon} /> {place.name}
          </a>
        ))}
        <button onClick={showHelp}>
          <Icon name="help" /> Keyboard
        </button>
        <button data-testid="sign-out" onClick={() => void signOut()}>
          <Icon name="signOut" /> Sign out
        </button>
      </Menu>
    </header>
  );
}

const LIVE_WORDS = { connecting: "Connecting", live: "Live", lost: "Not connected" };

function Live() {
  const state = connection.value;
  return (
    <span class="live" data-testid="live" data-state={state} role="status" title={LIVE_WORDS[state]}>
      <span class="live-dot" />
      <span class="live-text">{LIVE_WORDS[state]}</span>
    </span>
  );
}

/** What is wrong with Noroshi itself, not with what it watches. */
export function Banners({ isWall = false }: { isWall?: boolean }) {
  const errors = config.value?.errors ?? [];
  const heard = heardAt.value;
  const own = overview.value?.self;
  return (
    <>
      {connection.value === "lost" && (
        <Banner tone="critical" icon="disconnected" testId="banner-connection">
          <b>The connection to the server is lost.</b> {heard === null ? "Nothing was read yet." : `What you see is ${formatSince(now.value - heard)} old.`} Trying again…
        </Banner>
      )}
      {own && (own.is_broken || own.is_disk_full) && (
        <Banner tone="critical" icon="critical" testId="banner-store">
          <b>{own.is_broken ? "The store cannot write." : "The disk is full."}</b> Nothing new is kept{own.is_broken ? ": the server’s log says why." : " until there is room again."}
        </Banner>
      )}
      {errors.length > 0 && (
        <Banner tone="warning" icon="warning" testId="banner-config">
          <b>The configuration was changed but cannot be used.</b> The one before still holds{config.value?.path ? ` (${config.value.path})` : ""}.
          <pre>{errors.join("\n")}</pre>
        </Banner>
      )}
      {session.value?.must_set_password && !isWall && path.value !== "/settings" && (
        <Banner tone="warning" icon="user" testId="banner-password">
          <b>You have no password yet.</b> The sign-in link works only once: <a href="/settings">set a password</a> now.
        </Banner>
      )}
    </>
  );
}

function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map(({ id, text, isError }) => (
        <div key={id} class={`toast tone-${isError ? "critical" : "ok"}`} role={isError ? "alert" : "status"} data-testid="toast">
          <Icon name={isError ? "critical" : "ok"} />
          <span>{text}</span>
          <button class="button push" data-kind="quiet" data-size="icon" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <Icon name="close" size={14} />
          </button>
        </div>
      ))}
    </div>
  );
}
