import { expect, test } from "vitest";
import { EMPTY, faultsOf, formOf, keyOfToml, nameFor, tableOf } from "./host-table";

test("what the form shows comes back as it was, and what it does not show stays", () => {
  const table = {
    address: "192.0.2.1",
    groups: ["web"],
    use: ["linux"],
    alive: { tcp: "22" },
    labels: { role: "web", path: "a=b" },
    check: { http: { http: "https://a/" }, ping: { ping: true }, disk: { expr: "up", interval: "5m" } },
    poll: { nginx: { url: "http://a/", password: "********" } },
    notes: "call",
  };
  const form = formOf(table);
  expect(form.checks).toEqual([
    { name: "http", kind: "http", place: "https://a/" },
    { name: "ping", kind: "ping", place: "" },
  ]);
  expect(form.rest).toEqual({ check: { disk: table.check.disk }, poll: table.poll, notes: "call" });
  expect([form.alive, form.alivePort, form.labels]).toEqual(["tcp", "22", ["role=web", "path=a=b"]]);
  expect(tableOf(form)).toEqual(table);
});

test("a list of names adds to a template's unless it was written otherwise", () => {
  const table = { groups: ["+", "web"], parents: ["gw"], use: "linux", alive: ["check_icmp"] };
  expect(formOf(table).groups).toEqual(["web"]);
  expect(tableOf(formOf(table))).toEqual({ ...table, use: ["linux"] });
  expect(tableOf({ ...EMPTY, groups: ["web"], templates: ["linux"] })).toEqual({ groups: ["+", "web"], use: ["linux"] });
});

test("an empty form says nothing", () => {
  expect(tableOf(EMPTY)).toEqual({});
});

test("checks without name get one that is free", () => {
  const tcp = { name: "", kind: "tcp", place: "22" };
  expect(nameFor(tcp, [])).toBe("tcp");
  expect(nameFor(tcp, ["tcp", "tcp 2"])).toBe("tcp 3");
  const form = { ...EMPTY, checks: [tcp, { ...tcp, place: "443" }] };
  expect(tableOf(form).check).toEqual({ tcp: { tcp: "22" }, "tcp 2": { tcp: "443" } });
});

test("faults find their field, and none is lost", () => {
  const fault = (field: string) => ({ field, what: field, advice: "" });
  const faults = ["parents", "check.ssh.interval", "poll.nginx.url", "", "parentsx"].map(fault);
  const shown = ["parents", "check"];
  expect(faultsOf(faults, "parents", shown).map((one) => one.field)).toEqual(["parents"]);
  expect(faultsOf(faults, "check.ssh", shown)).toHaveLength(1);
  expect(faultsOf(faults, "", shown).map((one) => one.field)).toEqual(["poll.nginx.url", "", "parentsx"]);
});

test("a name is quoted where TOML wants it", () => {
  expect(keyOfToml("web-1")).toBe("web-1");
  expect(keyOfToml("web.example.org")).toBe('"web.example.org"');
});
