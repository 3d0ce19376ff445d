// What a terminal would show of a job's output: carriage returns and cursor moves carried out, colours as runs beside the
// text, every other character as text. Bounded: however much is written, no more is kept than a page can hold.

import { nearestColor, paletteColor, type Color } from "./colors";
import { visible } from "./visible";

/** A look other than the plain one, of the characters from `from` to before `to`. */
export interface Run {
  from: number;
  to: number;
  look: number;
}

export interface Line {
  text: string;
  /** In order, none overlapping. */
  runs: readonly Run[];
}

export const BOLD = 1 << 8;
export const DIM = 1 << 9;
export const ITALIC = 1 << 10;
export const UNDERLINE = 1 << 11;
export const REVERSE = 1 << 12;
export const STRIKE = 1 << 13;
/** A look's colours: of the text in its lowest four bits, of the ground in the next. */
export const textColor = (look: number): Color => (look & 15) as Color;
export const groundColor = (look: number): Color => ((look >> 4) & 15) as Color;

export interface Bounds {
  lines: number;
  characters: number;
  /** A line that is longer goes on in the next one. */
  columns: number;
}
export const BOUNDS: Bounds = { lines: 300_000, characters: 32_000_000, columns: 4_000 };
const PLAIN: readonly Run[] = [];
/** The cursor moves within the last lines, as within a screen. */
const SCREEN_ROWS = 100;
/** An escape sequence that is longer is none. */
const LONGEST_SEQUENCE = 4_096;

const SPECIAL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
/** A sequence that moves or colours, one that names windows or links, and any other. */
const SEQUENCE = /\x1b(?:\[([0-9:;<=>?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])/y;
/** What may still become one, once more of it comes. */
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)$/y;

export class Terminal {
  readonly lines: Line[] = [{ text: "", runs: PLAIN }];
  /** How many lines are not kept any more: the number of the first one that is. */
  dropped = 0;
  private row = 0;
  private column = 0;
  private look = 0;
  private pending = "";
  private characters = 0;
  private changed_from = 0;

  constructor(private readonly bounds: Bounds = BOUNDS) {}

  /** The number of the first line that changed since this was last called; Infinity where none did. */
  takeChanged(): number {
    const from = this.changed_from;
    this.changed_from = Infinity;
    return from;
  }

  write(chunk: string): void {
    const text = this.pending + chunk;
    this.pending = "";
    let at = 0;
    while (at < text.length) {
      SPECIAL.lastIndex = at;
      const found = SPECIAL.exec(text);
      const end = found ? found.index : text.length;
      if (end > at) this.put(text.slice(at, end));
      if (!found) break;
      at = end + 1;
      if (found[0] !== "\x1b") {
        this.control(found[0]);
        continue;
      }
      const length = this.sequence(text, end);
      if (length === null) break;
      at = end + length;
    }
    this.shorten();
  }

  private control(character: string): void {
    if (character === "\n") this.feed();
    else if (character === "\r") this.column = 0;
    else if (character === "\b") this.column = Math.max(0, this.column - 1);
    else if (character === "\t") this.column += 8 - (this.column % 8);
    else if (character !== "\x07") this.put(visible(character));
  }

  /** How long the escape sequence at `at` is, carried out; null where its rest has not come yet. */
  private sequence(text: string, at: number): number | null {
    SEQUENCE.lastIndex = UNFINISHED.lastIndex = at;
    const found = SEQUENCE.exec(text);
    if (found) {
      if (found[2]) this.command(found[2], found[1]!);
      return found[0].length;
    }
    if (text.length - at < LONGEST_SEQUENCE && UNFINISHED.test(text)) {
      this.pending = text.slice(at);
      return null;
    }
    this.put(visible("\x1b"));
    return 1;
  }

  private command(name: string, parameters: string): void {
    // Colours may be parted by colons as well.
    const numbers = parameters.split(/[;:]/).map((digits) => Number(digits) || 0);
    const n = Math.max(1, numbers[0]!);
    const row = this.row;
    if (name === "m") this.look = lookAfter(this.look, numbers);
    else if (name === "A") this.row = Math.max(0, this.lines.length - SCREEN_ROWS, row - n);
    else if (name === "B") this.row = Math.min(this.lines.length - 1, row + n);
    else if (name === "C") this.column = Math.min(this.bounds.columns, this.column + n);
    else if (name === "D") this.column = Math.max(0, this.column - n);
    else if (name === "G") this.column = Math.min(this.bounds.columns, n - 1);
    else if (name === "K") this.erase(numbers[0]!);
    else if (name === "J" && numbers[0] === 0) {
      this.erase(0);
      for (let below = row + 1; below < this.lines.length; below += 1) this.set(below, "", PLAIN);
    }
  }

  private erase(part: number): void {
    const { text, runs } = this.lines[this.row]!;
    if (part === 2) this.set(this.row, "", PLAIN);
    else if (part === 1) this.set(this.row, " ".repeat(Math.min(this.column, text.length)) + text.slice(this.column), over(runs, 0, this.column, 0));
    else this.set(this.row, text.slice(0, this.column), over(runs, this.column, Infinity, 0));
  }

  private put(text: string): void {
    let rest = text;
    while (rest) {
      if (this.column >= this.bounds.columns) this.feed();
      const part = rest.slice(0, this.bounds.columns - this.column);
      rest = rest.slice(part.length);
      const { text: before, runs } = this.lines[this.row]!;
      const end = this.column + part.length;
      const behind = end < before.length ? before.slice(end) : "";
      const front = this.column === before.length ? before : before.slice(0, this.column).padEnd(this.column);
      this.set(this.row, front + part + behind, this.look || runs.length ? over(runs, this.column, end, this.look) : runs);
      this.column = end;
    }
  }

  private feed(): void {
    this.row += 1;
    this.column = 0;
    if (this.row < this.lines.length) return;
    this.lines.push({ text: "", runs: PLAIN });
    this.touch(this.row);
  }

  private set(row: number, text: string, runs: readonly Run[]): void {
    const line = this.lines[row]!;
    this.characters += text.length - line.text.length;
    line.text = text;
    line.runs = runs;
    this.touch(row);
  }

  private touch(row: number): void {
    this.changed_from = Math.min(this.changed_from, this.dropped + row);
  }

  /** Drops the oldest tenth and more where there is too much. */
  private shorten(): void {
    const { lines, characters } = this.bounds;
    while (this.lines.length > 1 && (this.lines.length > lines || this.characters > characters)) {
      const gone = this.lines.splice(0, Math.min(this.lines.length - 1, Math.max(1, Math.floor(lines / 10))));
      for (const { text } of gone) this.characters -= text.length;
      this.dropped += gone.length;
      this.row = Math.max(0, this.row - gone.length);
    }
  }
}

/** The runs after the characters from `from` to before `to` were given a look; 0 is the plain one. */
function over(runs: readonly Run[], from: number, to: number, look: number): Run[] {
  const result: Run[] = [];
  for (const run of runs) if (run.from < from) result.push(run.to > from ? { ...run, to: from } : run);
  const last = result[result.length - 1];
  if (last && last.to === from && last.look === look) result[result.length - 1] = { ...last, to };
  else if (look) result.push({ from, to, look });
  for (const run of runs) if (run.to > to) result.push(run.from < to ? { ...run, from: to } : run);
  return result;
}

const ON: Record<number, number> = { 1: BOLD, 2: DIM, 3: ITALIC, 4: UNDERLINE, 7: REVERSE, 9: STRIKE };
const OFF: Record<number, number> = { 22: BOLD | DIM, 23: ITALIC, 24: UNDERLINE, 27: REVERSE, 29: STRIKE };

/** A look after the numbers of one "select graphic rendition". What blinks or hides elsewhere stays as it is here. */
function lookAfter(before: number, numbers: readonly number[]): number {
  let look = before;
  const text = (color: Color): number => (look & ~15) | color;
  const ground = (color: Color): number => (look & ~(15 << 4)) | (color << 4);
  for (let k = 0; k < numbers.length; k += 1) {
    const code = numbers[k]!;
    const tens = Math.floor(code / 10);
    if (code === 0) look = 0;
    else if (ON[code]) look |= ON[code]!;
    else if (OFF[code]) look &= ~OFF[code]!;
    else if (code === 39) look = text(0);
    else if (code === 49) look = ground(0);
    else if (code === 38 || code === 48) {
      const indexed = numbers[k + 1] === 5;
      const color = indexed ? paletteColor(numbers[k + 2] ?? 0) : nearestColor(numbers[k + 2] ?? 0, numbers[k + 3] ?? 0, numbers[k + 4] ?? 0);
      look = code === 38 ? text(color) : ground(color);
      k += indexed ? 2 : 4;
    } else if (tens === 3 || tens === 9) look = text(paletteColor((code % 10) + (tens === 9 ? 8 : 0)));
    else if (tens === 4 || tens === 10) look = ground(paletteColor((code % 10) + (tens === 10 ? 8 : 0)));
  }
  return look;
}
