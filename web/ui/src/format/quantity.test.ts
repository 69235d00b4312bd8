import { expect, test } from "vitest";
import { formatAge, formatDuration, formatLasting, formatSince, formatValue } from "./quantity";

test("values are written as the server writes them", () => {
  const cases: [number, string, string][] = [
    [1.5 * 1024 ** 3, "bytes", "1.5 GiB"],
    [512, "bytes", "512 B"],
    [1023 * 1024, "bytes", "1023 KiB"],
    [1023.9 * 1024, "bytes", "1 MiB"],
    [0, "bytes", "0 B"],
    [-2048, "bytes", "-2 KiB"],
    [1_572_864, "bytes/s", "1.5 MiB/s"],
    [230e6, "bits/s", "230 Mbit/s"],
    [999_999, "bits/s", "1 Mbit/s"],
    [0.045, "seconds", "45 ms"],
    [0.000_002_5, "seconds", "2.5 µs"],
    [1.25, "seconds", "1.25 s"],
    [75, "seconds", "75 s"],
    [200, "seconds", "3 min 20 s"],
    [-200, "seconds", "-3 min 20 s"],
    [93.1, "percent", "93.1 %"],
    [0.931, "ratio", "93.1 %"],
    [1, "ratio", "100 %"],
    [0.99996, "ratio", "99.996 %"],
    [0.0001, "ratio", "0.01 %"],
    [0, "percent", "0 %"],
    [42, "", "42"],
    [1234, "", "1234"],
    [12_345, "", "12.3k"],
    [0.25, "", "0.25"],
    [3.456_789, "", "3.46"],
    [2.5e6, "", "2.5M"],
    [0.000_012, "", "1.20e-5"],
    [12.5, "per second", "12.5/s"],
    [1500.4, "per second", "1.5k/s"],
    [3, "connections", "3 connections"],
    [20_000, "packets/s", "20k packets/s"],
    [41.5, "celsius", "41.5 °C"],
    [0.012, "volts", "12 mV"],
    [-Infinity, "", "-∞"],
  ];
  for (const [value, unit, text] of cases) expect(formatValue(value, unit), `${value} ${unit}`).toBe(text);
});

test("what is not known is a dash, never zero", () => {
  for (const value of [null, undefined, Number.NaN]) expect(formatValue(value, "bytes")).toBe("–");
});

test("durations are written by their two largest parts", () => {
  const cases: [number, string][] = [
    [0, "0 s"],
    [0.25, "250 µs"],
    [45, "45 ms"],
    [1000, "1 s"],
    [1590, "1.5 s"],
    [59_999, "59 s"],
    [200_000, "3 min 20 s"],
    [3_600_000, "1 h"],
    [3_659_000, "1 h"],
    [187_200_000, "2 d 4 h"],
    [-5000, "0 s"],
  ];
  for (const [ms, text] of cases) expect(formatDuration(ms), String(ms)).toBe(text);
  expect([formatSince(1590), formatAge(200_000)]).toEqual(["1 s", "3 min"]);
});

test("a problem says how long it lasted, and of how long while it must last longer", () => {
  expect(formatLasting({ seen_ms: 120_000, needed_ms: 300_000 })).toBe("bad for 2 min of 5 min");
  expect(formatLasting({ seen_ms: 300_000, needed_ms: 300_000 })).toBe("bad for 5 min");
});
