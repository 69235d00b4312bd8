/** Dark or light: the system's preference, until the reader chooses. */

import { computed, signal } from "@preact/signals";

export type Theme = "dark" | "light";

const KEY = "noroshi.theme";
const preference = window.matchMedia("(prefers-color-scheme: light)");

const chosen = signal<Theme | null>(readChoice());
const system = signal<Theme>(preference.matches ? "light" : "dark");

export const theme = computed<Theme>(() => chosen.value ?? system.value);

preference.addEventListener("change", () => {
  system.value = preference.matches ? "light" : "dark";
});

function readChoice(): Theme | null {
  try {
    const text = localStorage.getItem(KEY);
    return text === "dark" || text === "light" ? text : null;
  } catch {
    return null;
  }
}

export function toggleTheme(): void {
  const next: Theme = theme.value === "dark" ? "light" : "dark";
  chosen.value = next;
  document.documentElement.dataset["theme"] = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Storage is switched off: the choice holds for this page only.
  }
}
