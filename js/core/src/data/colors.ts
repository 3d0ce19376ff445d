// A terminal's colours brought down to the few that the theme has, which can be read on its ground: red stays red.

/** None (the theme's own), red, green, yellow, blue, magenta, cyan, grey. */
export type Color = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

const GREY: Color = 7;
/** The hues of red, yellow, green, cyan, blue and magenta, which lie 60° apart. */
const AROUND: readonly Color[] = [1, 3, 2, 6, 4, 5];

/** Of the 16 basic colours, the cube of 216 and the 24 greys that a terminal numbers. */
export function paletteColor(index: number): Color {
  // Black on dark and white on bright could not be read, and both mean "plain".
  if (index === 0 || index === 7 || index === 15) return 0;
  if (index === 8) return GREY;
  if (index < 16) return (index % 8) as Color;
  if (index >= 232) return index < 250 ? GREY : 0;
  const cube = index - 16;
  const level = (step: number): number => (step === 0 ? 0 : 55 + 40 * step);
  return nearestColor(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

export function nearestColor(red: number, green: number, blue: number): Color {
  const most = Math.max(red, green, blue);
  const spread = most - Math.min(red, green, blue);
  if (spread < 40) return most > 90 && most < 200 ? GREY : 0;
  const sector = most === red ? (green - blue) / spread : most === green ? 2 + (blue - red) / spread : 4 + (red - green) / spread;
  return AROUND[(Math.round(sector) + 6) % 6]!;
}
