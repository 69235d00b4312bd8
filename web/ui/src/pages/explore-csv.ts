/** The numbers of a graph as comma-separated values. */

import { type Frame, nameOf } from "../graph/frame";

/** RFC 4180; a gap is an empty field, times are ISO 8601 in UTC. */
export function csvOf(frame: Frame): string {
  const head = ["time", ...frame.series.map(({ labels }) => nameOf(labels))];
  const rows = Array.from({ length: frame.length }, (_, i) => [
    new Date((frame.start + i * frame.step) * 1000).toISOString(),
    ...frame.series.map(({ values }) => (values[i] === null || values[i] === undefined ? "" : String(values[i]))),
  ]);
  return [head, ...rows].map((fields) => fields.map(quoted).join(",") + "\r\n").join("");
}

const quoted = (field: string): string => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);

export function download(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
