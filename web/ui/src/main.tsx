/** Starts everything once, then draws. */

import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/overlays.css";
import "./styles/shell.css";
import "./styles/lists.css";
import "./styles/graph.css";
import "./styles/pages.css";
import "./styles/wall.css";
import { App } from "./app";
import { startKeyboard } from "./components/keyboard";
import { startRouter } from "./router";
import { startClock } from "./state/clock";
import { loadSession } from "./state/session";
import { startSite } from "./state/site";
import { startStream } from "./state/stream";

startRouter();
startClock();
startKeyboard();
startSite();
startStream();
// A failure shows as the overview's own; a missing session leads to the sign-in page.
loadSession().catch(() => undefined);

const root = document.getElementById("app");
if (root) render(<App />, root);
