// Runs before the first paint, so that a chosen theme does not flash in the other one first.
// A file of its own because the content security policy allows no inline script.
try {
  const theme = localStorage.getItem("noroshi.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off: the system's preference holds.
}
