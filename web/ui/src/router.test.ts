import { expect, test } from "vitest";
import { checkPath, hostPath, routeOf } from "./router";

const read = (address: string) => {
  const url = new URL(address, "http://noroshi.test");
  return routeOf(url.pathname, url.searchParams);
};

test("names with slashes, spaces and per cent signs survive the address", () => {
  const id = { host: "db 1", check: "disk /var 90%" };
  expect(read(checkPath(id))).toEqual({ page: "check", ...id });
  expect(read(hostPath("a/b"))).toEqual({ page: "host", host: "a/b" });
  expect(checkPath({ host: "web1", check: null })).toBe("/hosts/web1");
});

test("links from mails are understood", () => {
  expect(read("/check?host=web1&check=disk+%2Fvar")).toEqual({ page: "check", host: "web1", check: "disk /var" });
  expect(read("/host?host=web1")).toEqual({ page: "host", host: "web1" });
  expect(read("/hosts/web1/checks/a%ZZ")).toEqual({ page: "check", host: "web1", check: "a%ZZ" });
});

test("other addresses are missing", () => {
  for (const address of ["/nothing", "/hosts/web1/other", "/check", "/hosts/"]) expect(read(address).page, address).toBe("missing");
  expect(read("/problems")).toEqual({ page: "problems" });
});
