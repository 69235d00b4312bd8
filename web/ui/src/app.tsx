/** Which page is shown, and what the browser's tab says. */

import { useSignalEffect } from "@preact/signals";
import { Help } from "./components/keyboard";
import { Empty } from "./components/parts";
import { Shell } from "./components/shell";
import { HostPage } from "./pages/host";
import { OverviewPage } from "./pages/overview";
import { route, type Route } from "./router";
import { unhandled } from "./state/site";
import { severityOf, toneOf } from "./status";

const NAMES: Partial<Record<Route["page"], string>> = { problems: "Problems", hosts: "Hosts", events: "Events", notifications: "Notifications", explore: "Explore", settings: "Settings", wall: "Wall" };

/** As many icons there are with a number on them; see `vite.config.ts`. */
const ICON_COUNT_MAX = 9;

function titleOf(at: Route): string {
  if (at.page === "host") return at.host;
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
    case "host":
      return <HostPage key={at.host} name={at.host} />;
    default:
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
      <Shell>
        <Page at={route.value} />
      </Shell>
      <Help />
    </>
  );
}
