/** Which rows of a list a typed word lets through. */

import type { CheckView, HostRow } from "./api/types";

/** Every word must be found somewhere; upper and lower case are alike. */
export function matchesText(text: string, filter: string): boolean {
  const lower = text.toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}

export const matchesCheck = (check: CheckView, filter: string): boolean =>
  filter === "" || matchesText(`${check.host} ${check.check ?? ""} ${check.status} ${check.output}`, filter);

export function matchesHost(host: HostRow, filter: string): boolean {
  if (filter === "") return true;
  const labels = Object.entries(host.labels).map(([name, value]) => `${name}=${value}`);
  return matchesText([host.name, host.alias, host.address, host.state.status, ...host.groups, ...labels].join(" "), filter);
}
