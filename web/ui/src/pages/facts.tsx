/** Names and values side by side. */

import type { ComponentChildren } from "preact";

/** `isWide`: for a sentence, where there is room. */
export function Fact({ name, isWide, children }: { name: string; isWide?: boolean; children: ComponentChildren }) {
  return (
    <div class={isWide ? "fact-wide" : undefined}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
