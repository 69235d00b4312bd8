import { expect, test } from "vitest";
import { windowOf } from "./windowed";

test("only lines in sight are drawn, and a few beyond", () => {
  // The list begins 100 px below the top of a screen of 600 px; lines of 50 px: 10 are in sight.
  expect(windowOf(100, 600, 50, 1000)).toEqual([0, 18]);
  // Scrolled by 5000 px: line 100 is at the top; 8 beyond each edge.
  expect(windowOf(-5000, 600, 50, 1000)).toEqual([92, 120]);
  expect(windowOf(-49_900, 600, 50, 1000)).toEqual([990, 1000]);
  expect(windowOf(-9000, 600, 50, 3)).toEqual([3, 3]);
  expect(windowOf(100, 600, 50, 0)).toEqual([0, 0]);
});
