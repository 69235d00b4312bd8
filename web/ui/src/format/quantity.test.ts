import { expect, test } from "vitest";
import { formatAge, formatDuration, formatValue } from "./quantity";

test("values are written with three digits and their unit", () => {
  const cases: [number | null, string, string][] = [
    [1.5 * 1024 ** 3, "bytes", "1.5 GiB"],
    [1023.6, "bytes", "1 KiB"],
    [512, "bytes", "512 B"],
    [1.25 * 1024 ** 2, "bytes/s", "1.25 MiB/s"],
    [230e6, "bits/s", "230 Mbit/s"],
    [999_600, "bits/s", "1 Mbit/s"],
    [93.12, "percent", "93.1 %"],
    [0.0712, "ratio", "7.12 %"],
    [0.045, "seconds", "45 ms"],
    [0.000_012, "seconds", "12 µs"],
    [12.345, "seconds", "12.3 s"],
    [200, "seconds", "3 min 20 s"],
    [1234, "per second", "1.23 k /s"],
    [0.25, "", "0.25"],
    [1234, "", "1,234"],
    [12_345, "none", "12.3 k"],
    [21.5, "celsius", "21.5 °C"],
    [7, "users", "7 users"],
    [-2048, "bytes", "-2 KiB"],
    [0, "bytes", "0 B"],
    [0, "seconds", "0 s"],
  ];
  for (const [value, unit, text] of cases) expect(formatValue(value, unit), `${value} ${unit}`).toBe(text);
});

test("what is not known is a dash, never zero", () => {
  for (const value of [null, undefined, Number.NaN]) expect(formatValue(value, "bytes")).toBe("–");
  expect(formatValue(Infinity, "seconds")).toBe("∞");
});

test("durations are written in their two largest units", () => {
  const second = 1000;
  const cases: [number, string][] = [
    [0, "0 s"],
    [450, "450 ms"],
    [59.9 * second, "59 s"],
    [60 * second, "1 min"],
    [200 * second, "3 min 20 s"],
    [3600 * second, "1 h"],
    [(2 * 3600 + 5 * 60 + 59) * second, "2 h 5 min"],
    [(2 * 86_400 + 4 * 3600) * second, "2 d 4 h"],
    [(2 * 86_400 + 59) * second, "2 d"],
    [400 * 86_400 * second, "1 y 35 d"],
    [-5 * second, "0 s"],
  ];
  for (const [ms, text] of cases) expect(formatDuration(ms), String(ms)).toBe(text);
  expect(formatAge(200 * second)).toBe("3 min");
});
