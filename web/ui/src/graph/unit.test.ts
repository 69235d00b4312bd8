import { expect, test } from "vitest";
import { unitOf } from "./unit";

test("units are guessed from names only where that is certain", () => {
  const cases: [string, string][] = [
    ["node_memory_MemAvailable_bytes", "bytes"],
    ['sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[5m]))', "bytes/s"],
    ['rate(node_cpu_seconds_total{mode="user"}[1m])', "ratio"],
    ["scrape_duration_seconds", "seconds"],
    ["node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", ""],
    ["count(node_memory_MemAvailable_bytes)", ""],
    ["node_load1", ""],
    ["node_load1 + node_boot_time_seconds", ""],
    ['{__name__="node_memory_MemFree_bytes"}', ""],
  ];
  for (const [expr, unit] of cases) expect(unitOf(expr), expr).toBe(unit);
});
