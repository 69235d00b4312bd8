// Drives one headless Chromium for the tests: reads a command a line as JSON from standard input,
// answers each with a line of JSON. The story stands in the Rust test; here are only the verbs.
//
//   {"do":"open","url":U}                        -> {"ok":true,"status":200}
//   {"do":"click","selector":S}                  waits until it can be clicked
//   {"do":"fill","selector":S,"text":T}
//   {"do":"wait","selector":S,"timeout":MS}      waits until it is visible
//   {"do":"gone","selector":S,"timeout":MS}      waits until there is none
//   {"do":"text","selector":S}                   -> {"ok":true,"text":"..."} of the first
//   {"do":"texts","selector":S}                  -> {"ok":true,"texts":[...]} of all
//   {"do":"count","selector":S}                  -> {"ok":true,"count":N}
//   {"do":"size","width":W,"height":H}
//   {"do":"theme","scheme":"dark"|"light"}
//   {"do":"shot","path":P}                       whole page as PNG
//   {"do":"overflow"}                            -> {"ok":true,"pixels":N} wider than the window
//   {"do":"errors"}                              -> {"ok":true,"errors":[...]} of the page so far
import readline from "node:readline";
import { chromium } from "playwright-core";

const WAIT_MS = 30000;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
page.setDefaultTimeout(WAIT_MS);
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (message) => {
  if (message.type() === "error") errors.push(message.text());
});

const verbs = {
  async open({ url }) {
    const response = await page.goto(url, { waitUntil: "domcontentloaded" });
    return { status: response?.status() ?? 0 };
  },
  click: ({ selector }) => page.locator(selector).first().click(),
  fill: ({ selector, text }) => page.locator(selector).fill(text),
  wait: ({ selector, timeout }) =>
    page.locator(selector).first().waitFor({ state: "visible", timeout: timeout ?? WAIT_MS }),
  gone: ({ selector, timeout }) =>
    page.locator(selector).first().waitFor({ state: "detached", timeout: timeout ?? WAIT_MS }),
  text: async ({ selector }) => ({ text: await page.locator(selector).first().innerText() }),
  texts: async ({ selector }) => ({ texts: await page.locator(selector).allInnerTexts() }),
  count: async ({ selector }) => ({ count: await page.locator(selector).count() }),
  size: ({ width, height }) => page.setViewportSize({ width, height }),
  theme: ({ scheme }) => page.emulateMedia({ colorScheme: scheme }),
  shot: ({ path }) => page.screenshot({ path, fullPage: true }).then(() => undefined),
  overflow: async () => ({
    pixels: await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    ),
  }),
  errors: async () => ({ errors }),
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  let answer;
  try {
    const command = JSON.parse(line);
    answer = { ok: true, ...(await verbs[command.do](command)) };
  } catch (error) {
    answer = { ok: false, error: String(error), at: page.url() };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
