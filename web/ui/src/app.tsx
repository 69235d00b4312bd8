/** Which page is shown, and what the browser's tab says. */

import { useSignalEffect } from "@preact/signals";
import { Help } from "./components/keyboard";
import { Empty } from "./components/parts";
import { Shell } from "./components/shell";
import { AvailabilityPage } from "./pages/availability";
import { CheckPage } from "./pages/check";
import { EventsPage } from "./pages/events";
import { ExplorePage } from "./pages/explore";
import { HostFormPage } from "./pages/host-form";
import { HostPage } from "./pages/host";
import { HostsPage } from "./pages/hosts";
import { NotificationsPage } from "./pages/notifications";
import { OverviewPage } from "./pages/overview";
import { ProblemsPage } from "./pages/problems";
import { SettingsPage } from "./pages/settings";
import { WallPage } from "./pages/wall";
import { route, type Route } from "./router";
import { unhandled } from "./state/site";
import { severityOf, toneOf } from "./status";

const NAMES: Partial<Record<Route["page"], string>> = { problems: "Problems", hosts: "Hosts", events: "Events", notifications: "Notifications", availability: "Availability", explore: "Explore", settings: "Settings", wall: "Wall" };

/** As many icons there are with a number on them; see `vite.config.ts`. */
const ICON_COUNT_MAX = 9;

function titleOf(at: Route): string {
  if (at.page === "host") return at.host;
  if (at.page === "host-form") return at.edited === null ? "Add a host" : `Change ${at.edited}`;
  if (at.page === "check") return `${at.host}/${at.check}`;
  return NAMES[at.page] ?? "";
}

/** The title and the icon count the confirmed problems that nobody takes care of. */
function useTab(): void {
  useSignalEffect(() => {
    const open = unhandled.value;
    const page = titleOf(route.value);
    document.title = `${open.length > 0 ? `(${open.length}) ` : ""}${page ? `${page} · ` : ""}Noroshi`;
    const worst = open.reduce((most, check) => (severityOf(check.status) > severityOf(most.status) ? check : most), open[0] ?? { status: "ok" as const });
    const count = open.length > ICON_COUNT_MAX ? "more" : String(open.length);
    const icon = open.length === 0 ? "ok" : `${toneOf(worst.status)}-${count}`;
    document.querySelector("#favicon")?.setAttribute("href", `/favicon/${icon}.svg`);
  });
}

function Page({ at }: { at: Route }) {
  switch (at.page) {
    case "overview":
      return <OverviewPage />;
    case "host-form":
      return <HostFormPage key={at.edited ?? ""} edited={at.edited} />;
    case "host":
      return <HostPage key={at.host} name={at.host} />;
    case "check":
      return <CheckPage key={`${at.host}/${at.check}`} host={at.host} check={at.check} />;
    case "problems":
      return <ProblemsPage />;
    case "hosts":
      return <HostsPage />;
    case "events":
      return <EventsPage />;
    case "notifications":
      return <NotificationsPage />;
    case "availability":
      return <AvailabilityPage />;
    case "explore":
      return <ExplorePage />;
    case "settings":
      return <SettingsPage />;
    case "wall":
    case "missing":
      return (
        <Empty icon="unknown" title="There is no such page">
          <a href="/">To the overview</a>
        </Empty>
      );
  }
}

export function App() {
  useTab();
  return (
    <>
      {route.value.page === "wall" ? (
        <WallPage />
      ) : (
        <Shell>
          <Page at={route.value} />
        </Shell>
      )}
      <Help />
    </>
  );
}
