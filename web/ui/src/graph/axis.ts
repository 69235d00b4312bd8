/** Ticks of the axes. */

/** Distances of ticks for bytes: 1, 2, 4 ... 512 of each binary unit. */
export const BINARY_STEPS: number[] = Array.from({ length: 61 }, (_, power) => 2 ** power);

/** Distances of ticks for times in seconds: those people count in. */
export const SECONDS_STEPS: number[] = [
  ...[1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1].flatMap((size) => [size, 2 * size, 5 * size]),
  10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000, 8_640_000, 31_536_000,
];

const two = (value: number): string => String(value).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Labels of the time axis, in the reader's zone: the time, or the day where a new one begins. */
export function timeLabels(ticks: readonly number[], distance: number): string[] {
  return ticks.map((tick) => {
    const at = new Date(tick * 1000);
    const isMidnight = at.getHours() === 0 && at.getMinutes() === 0 && at.getSeconds() === 0;
    const day = `${at.getDate()} ${MONTHS[at.getMonth()] ?? ""}`;
    if (distance >= 28 * 86_400) return `${MONTHS[at.getMonth()] ?? ""} ${at.getFullYear()}`;
    if (distance >= 86_400 || isMidnight) return day;
    const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
    return distance < 60 ? `${time}:${two(at.getSeconds())}` : time;
  });
}
