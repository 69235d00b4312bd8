import { expect, test } from "vitest";
import type { LineStyle } from "../api/types";
import { linesOf } from "./lines";

const line = (legend: string, style: LineStyle = "line") => ({ expr: "", legend, style });

test("what goes out has the colour of what comes in", () => {
  const graph = { title: "Network", lines: [line("{{device}} in", "area"), line("{{device}} out", "negative")] };
  const series = [0, 1].flatMap((query) => ["eth0", "eth1"].map((device) => ({ query, labels: { device } })));
  const lines = linesOf(series, graph, false);
  expect(lines.map(({ legend }) => legend)).toEqual(["eth0 in", "eth1 in", "eth0 out", "eth1 out"]);
  expect(lines.map(({ color }) => color)).toEqual([0, 1, 0, 1]);
});

test("lines of one side never share a colour", () => {
  const graph = { title: "CPU", lines: [line("user", "area"), line("system", "area")] };
  expect(linesOf([{ query: 0, labels: {} }, { query: 1, labels: {} }], graph, false).map(({ color }) => color)).toEqual([0, 1]);
});

test("a legend that comes out empty is replaced by what tells the series apart", () => {
  const series = ["sda", "sdb"].map((device) => ({ query: 0, labels: { instance: "a", device } }));
  expect(linesOf(series, { title: "Disks", lines: [line("{{mountpoint}}")] }, false)[0]?.legend).toBe("sda");
  expect(linesOf([{ query: 0, labels: { instance: "a" } }], { title: "Disk", lines: [line("")] }, true)[0]?.legend).toBe("Disk");
  expect(linesOf([{ query: 0, labels: { instance: "a" } }], { title: "Disk", lines: [line("")] }, false)[0]?.legend).toBe('{instance="a"}');
  const two = [0, 1].map((query) => ({ query, labels: { instance: "a" } }));
  expect(linesOf(two, { title: "Expressions", lines: [line(""), line("")] }, true).map(({ legend }) => legend.trim())).toEqual(["A", "B"]);
});
