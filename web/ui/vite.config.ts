import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** The number on the favicon stops here: more does not fit 16 pixels. */
const FAVICON_COUNT_MAX = 9;

/**
 * Writes one icon per worst status and number of problems. The content security policy lets no
 * `data:` or `blob:` image through, so that they cannot be drawn in the browser.
 */
function favicons(): Plugin {
  const flame = "M16 3c1 5 7 8 7 15a7 7 0 0 1-14 0c0-4 2-6 3-8 1 2 2 3 3 3 1-3 0-6 1-10z";
  const svg = (color: string, text: string): string => {
    const badge = text
      ? `<rect x="${text.length > 1 ? 9 : 14}" y="13" width="${text.length > 1 ? 23 : 18}" height="19" rx="6" fill="${color}"/>` +
        `<text x="${text.length > 1 ? 20.5 : 23}" y="28" font-family="system-ui,sans-serif" font-weight="700" font-size="16" text-anchor="middle" fill="#fff">${text}</text>`
      : "";
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="${flame}" fill="${text ? "#8b93a1" : color}"/>` +
      `<path d="M6 29h20" stroke="#8b93a1" stroke-width="2.5" stroke-linecap="round"/>${badge}</svg>`
    );
  };
  const files = new Map<string, string>([["favicon/ok.svg", svg("#e8743b", "")]]);
  for (const [severity, color] of [["critical", "#d92d3a"], ["warning", "#b26a00"], ["unknown", "#7b5cd6"]] as const) {
    for (let count = 1; count <= FAVICON_COUNT_MAX; count += 1) {
      files.set(`favicon/${severity}-${String(count)}.svg`, svg(color, String(count)));
    }
    files.set(`favicon/${severity}-more.svg`, svg(color, `${String(FAVICON_COUNT_MAX)}+`));
  }
  return {
    name: "favicons",
    generateBundle() {
      for (const [fileName, source] of files) this.emitFile({ type: "asset", fileName, source });
    },
  };
}

export default defineConfig({
  plugins: [favicons()],
  test: { environment: "happy-dom" },
  build: {
    outDir: "dist",
    target: "es2022",
    sourcemap: false,
    // Files only: the content security policy refuses `data:` addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
});
