/** Icons: inline, in the colour of the text beside them. Their meaning is always also in words. */

import type { JSX } from "preact";

const PATHS = {
  flame: <path d="M12 2.5c.6 3.6 5 5.6 5 10.6a5 5 0 0 1-10 0c0-2.8 1.5-4.2 2.2-5.7.6 1.4 1.3 2 2.1 2.1.8-2 .1-4.4.7-7zM5 21h14" />,
  overview: <path d="M4 4h7v7H4zM13.5 4H20v4.5h-6.5zM13.5 11.5H20V20h-6.5zM4 14h7v6H4z" />,
  problems: <path d="M12 4 2.8 19.5h18.4zM12 10v4.5M12 17v.2" />,
  hosts: <path d="M4 4.5h16v6H4zM4 13.5h16v6H4zM7.5 7.5h.1M7.5 16.5h.1M12 7.5h5M12 16.5h5" />,
  events: <path d="M4 6h.1M4 12h.1M4 18h.1M8.5 6H20M8.5 12H20M8.5 18H20" />,
  notifications: <path d="M6 10a6 6 0 0 1 12 0c0 5 2 6.5 2 6.5H4S6 15 6 10zM10 19.5a2.2 2.2 0 0 0 4 0" />,
  quiet: <path d="M4 4l16 16M8 5.600A6 6 0 0 1 18 10c0 1.800.300 3.200.700 4.300M6.100 9C6 14.800 4 16.500 4 16.500h12M10 19.500a2.200 2.200 0 0 0 4 0" />,
  explore: <path d="M4 4v16h16M7.5 14.5l3.5-4 3 2.5 5-6" />,
  settings: (
    <>
      <circle cx="12" cy="12" r="3" />
      <path d="M12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.1 2.1M16.3 16.3l2.1 2.1M5.6 18.4l2.1-2.1M16.3 7.7l2.1-2.1" />
    </>
  ),
  wall: <path d="M3.5 5h17v11.5h-17zM9 20h6M12 16.5V20" />,
  search: <path d="M10.5 4.5a6 6 0 1 1 0 12 6 6 0 0 1 0-12zM15 15l5 5" />,
  sun: (
    <>
      <circle cx="12" cy="12" r="4" />
      <path d="M12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1" />
    </>
  ),
  moon: <path d="M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z" />,
  user: <path d="M12 4.5a3.7 3.7 0 1 1 0 7.4 3.7 3.7 0 0 1 0-7.4zM5 20c.6-3.7 3.3-5.5 7-5.5s6.4 1.8 7 5.5" />,
  more: <path d="M6 12h.1M12 12h.1M18 12h.1" />,
  ok: <path d="M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM8.3 12.3l2.6 2.6 4.9-5.4" />,
  warning: <path d="M12 4 2.8 19.5h18.4zM12 10v4.5M12 17v.2" />,
  critical: <path d="M8.3 3.5h7.4l4.8 4.8v7.4l-4.8 4.8H8.3l-4.8-4.8V8.3zM9.2 9.2l5.6 5.6M14.8 9.2l-5.6 5.6" />,
  unknown: <path d="M12 3 21 12l-9 9-9-9zM10 10a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.4M12 16v.1" />,
  pending: (
    <>
      <circle cx="12" cy="12" r="8.5" stroke-dasharray="3.3 2.6" />
      <path d="M12 8v4.3l2.5 1.5" />
    </>
  ),
  recheck: <path d="M19.5 12a7.5 7.5 0 1 1-2.3-5.4M19.5 4v4h-4" />,
  acknowledge: <path d="M4 12.5l4.5 4.5L14 10.5M12.5 16l1 1L20 9" />,
  downtime: <path d="M14.5 6.2a4.3 4.3 0 0 0-5.3 5.6L4 17v3h3l5.2-5.2a4.3 4.3 0 0 0 5.6-5.3L15 12.2 11.8 9z" />,
  flapping: <path d="M3.5 12h3.5l2.5-7 5 14 2.5-7h3.5" />,
  comment: <path d="M4 5h16v11H11l-4 4v-4H4z" />,
  soft: <path d="M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM12 7.5V12l3 2" />,
  blocked: <path d="M6 4.5h5v5H6zM13 14.5h5v5h-5zM8.5 9.5V17H13" />,
  close: <path d="M6 6l12 12M18 6L6 18" />,
  link: <path d="M10 14a4 4 0 0 0 6 .4l3-3a4.2 4.2 0 0 0-6-6L11.5 7M14 10a4 4 0 0 0-6-.4l-3 3a4.2 4.2 0 0 0 6 6l1.5-1.6" />,
  external: <path d="M13.5 4.5h6v6M19.5 4.5 11 13M18 14v5.5H4.5V6H10" />,
  download: <path d="M12 4v11M7.5 10.5 12 15l4.5-4.5M4.5 19.5h15" />,
  copy: <path d="M8.5 8.5h11v11h-11zM5.5 15.5h-1v-11h11v1" />,
  reset: <path d="M4.5 12a7.5 7.5 0 1 0 2.3-5.4M4.5 4v4h4" />,
  plus: <path d="M12 5v14M5 12h14" />,
  trash: <path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l1 12.5h9l1-12.5" />,
  left: <path d="M14.5 5.5 8 12l6.5 6.5" />,
  right: <path d="M9.5 5.5 16 12l-6.5 6.5" />,
  help: <path d="M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM9.7 9.7a2.4 2.4 0 1 1 3.4 2.2c-.7.3-1.1.9-1.1 1.7M12 16.5v.1" />,
  calendar: <path d="M4.5 6h15v13.5h-15zM4.5 10h15M8.5 3.5V7M15.5 3.5V7" />,
  mail: <path d="M3.5 5.5h17v13h-17zM4 6.5l8 6.5 8-6.5" />,
  disconnected: <path d="M4 4l16 16M8.5 15.5a5 5 0 0 1 6 0M5 12a10 10 0 0 1 4-2.3M13.5 9.3A10 10 0 0 1 19 12M12 19v.1" />,
  signOut: <path d="M10 4.5H4.5v15H10M14.5 8l4 4-4 4M18 12H9" />,
} satisfies Record<string, JSX.Element>;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      {PATHS[name]}
    </svg>
  );
}
