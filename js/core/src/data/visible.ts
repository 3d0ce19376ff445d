// Text from outside, with what would hide in it or turn its order around made visible. Names and output may hold anything.

/** Control characters but for tab and line feed, and those that reorder what stands around them. */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** ␀ … ␟ and ␡ stand for the control characters of ASCII, as Unicode draws them; the others have no picture. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : "\ufffd";
  });
}

/** The beginning of it, where it is longer than anybody needs to be told. */
export function shortened(text: string, most: number): string {
  return visible(text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…` : text);
}
