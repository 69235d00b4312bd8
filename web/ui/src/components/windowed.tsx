/** A long list of which only the lines in sight are drawn. All lines are equally high. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** Lines drawn beyond each edge, so that fast scrolling shows no white. */
const MARGIN = 8;

interface Props<T> {
  rows: readonly T[];
  /** Pixels on a wide and on a narrow screen. */
  height: { wide: number; narrow: number };
  keyOf: (row: T) => string;
  draw: (row: T) => ComponentChildren;
  /** Told which lines are in sight. */
  onSight?: (rows: readonly T[]) => void;
}

const narrow = window.matchMedia("(max-width: 719px)");

/** Which lines are to be drawn: first and the one after the last. */
export function windowOf(top: number, viewHeight: number, rowHeight: number, count: number): [number, number] {
  const first = Math.floor(Math.max(0, -top) / rowHeight) - MARGIN;
  const last = Math.ceil((viewHeight - top) / rowHeight) + MARGIN;
  return [Math.min(count, Math.max(0, first)), Math.max(0, Math.min(count, last))];
}

export function Windowed<T>({ rows, height, keyOf, draw, onSight }: Props<T>) {
  const root = useRef<HTMLDivElement>(null);
  const [rowHeight, setRowHeight] = useState(narrow.matches ? height.narrow : height.wide);
  const [[first, last], setWindow] = useState<[number, number]>([0, 40]);
  useEffect(() => {
    const measure = (): void => {
      if (!root.current) return;
      const size = narrow.matches ? height.narrow : height.wide;
      const next = windowOf(root.current.getBoundingClientRect().top, window.innerHeight, size, rows.length);
      setRowHeight(size);
      setWindow((before) => (before[0] === next[0] && before[1] === next[1] ? before : next));
    };
    measure();
    window.addEventListener("scroll", measure, { passive: true });
    window.addEventListener("resize", measure);
    return () => {
      window.removeEventListener("scroll", measure);
      window.removeEventListener("resize", measure);
    };
  }, [rows.length, height.narrow, height.wide]);
  const sight = rows.slice(first, last);
  const keys = sight.map(keyOf).join("\n");
  useEffect(() => onSight?.(sight), [keys]);
  return (
    <div ref={root} role="rowgroup" style={{ paddingTop: `${first * rowHeight}px`, paddingBottom: `${Math.max(0, rows.length - Math.max(first, last)) * rowHeight}px` }}>
      {sight.map((row) => (
        <div key={keyOf(row)} class="windowed-row" role="presentation" style={{ height: `${rowHeight}px` }}>
          {draw(row)}
        </div>
      ))}
    </div>
  );
}
