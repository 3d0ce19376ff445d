// All charts of a view: the main ones large, what is important or pinned below, the rest in groups that fold.

import { Cursor } from "../chart/plot";
import { Lens } from "../data/lens";
import { __ } from "../i18n";
import { chartView, type ChartSpec, type ChartView } from "./chart";
import { chartMenu } from "./chartmenu";
import { chooser, MANY, searchField } from "./chooser";
import { h, setAttribute, setShown } from "./dom";
import { save as saveBlob } from "./download";
import { fileName, pngOf, saveText, stacked } from "./export";
import { GROUPS, matches, type Group } from "./groups";
import { menuItem } from "./menu";
import { keepPreferences, pageStorage, readPreferences, type Preferences } from "./preferences";
import { section, type Section } from "./section";
import { toolbar } from "./toolbar";

/** A chart and its place, as long as nobody has chosen another. */
export interface Placed extends ChartSpec {
  group: Group;
  pinned: boolean;
  minor: boolean;
}

export interface BoardOptions {
  color(property: string): string;
  /** The height of charts that are not main ones, in CSS pixels. */
  height: number;
  /** What files are named after. */
  name(): string;
  /** Saves all points as CSV. */
  saveCsv(): void;
  signal: AbortSignal;
}

export interface Board {
  toolbar: HTMLElement;
  element: HTMLElement;
  /** Shows these, in this order; the same array where nothing has changed. `empty` is said in a main chart without points. */
  update(placed: readonly Placed[], empty: string): void;
  recolor(): void;
  /** The first main chart. */
  readonly main: ChartView | undefined;
}

export function board({ color, height, name, saveCsv, signal }: BoardOptions): Board {
  const storage = pageStorage();
  const chosen: Preferences = readPreferences(storage);
  const lens = new Lens({ axis: chosen.axis, smoothing: chosen.smoothing });
  const cursor = new Cursor();
  const views = new Map<string, ChartView>();
  const sections = new Map<Group, Section>();
  let placed: readonly Placed[] = [];
  let empty = "";
  let enlarged: string | null = null;

  const isShown = ({ key, minor }: Placed): boolean => !(chosen.hidden.get(key) ?? minor);
  const isPinned = ({ key, pinned }: Placed): boolean => chosen.pinned.get(key) ?? pinned;
  const choose = (what: "hidden" | "pinned" | "folded", key: string, value: boolean): void => {
    chosen[what] = new Map(chosen[what]).set(key, value);
    keepPreferences(storage, { [what]: chosen[what] });
    arrange();
  };

  const save = (extension: "png" | "svg", some: readonly ChartView[] = shownViews()): void => {
    const drawing = stacked(some.flatMap((view) => view.drawing() ?? []));
    const file = fileName(name(), some.length === 1 ? some[0]!.spec.key : "", `curves.${extension}`);
    if (extension === "svg") saveText(file, drawing, "image/svg+xml");
    else void pngOf(drawing, 2).then((blob) => saveBlob(blob, file));
  };
  const shownViews = (): ChartView[] => placed.flatMap(({ key }) => views.get(key) ?? []);

  const menu = chartMenu({
    isPinned: ({ spec }) => isPinned(spec as Placed),
    pin: ({ spec }, pinned) => choose("pinned", spec.key, pinned),
    hide: ({ spec }) => {
      if (enlarged === spec.key) enlarge(null);
      choose("hidden", spec.key, true);
    },
    enlarge: toggle,
    tabulate: (view) => {
      if (!view.enlarged) enlarge(view);
      view.setTabled(!view.tabled);
    },
    save: (view, extension) => save(extension, [view]),
    signal,
  });
  const list = chooser((key, shown) => choose("hidden", key, !shown));
  const exports = h(
    "div",
    { class: "tl-menu-row", role: "group", "aria-label": __("Save") },
    h("span", { class: "tl-menu-title" }, __("Save")),
    menuItem("PNG", () => save("png")),
    menuItem("SVG", () => save("svg")),
    menuItem(__("CSV of all points"), saveCsv),
  );
  const tools = toolbar({
    lens,
    more: [list.element, exports],
    fill: () => list.fill(placed.map((each) => ({ key: each.key, title: each.title, group: each.group, shown: isShown(each) }))),
    signal,
  });

  const search = searchField();
  search.addEventListener("input", () => arrange());
  const mains = h("div", { class: "tl-mains" });
  const top = h("div", { class: "tl-overview" });
  const small = h("div", { class: "tl-small" }, top, search);
  const element = h("div", { class: "tl-charts" }, mains, small, menu.element);

  const seen = typeof IntersectionObserver === "undefined" ? null : new IntersectionObserver(look, { rootMargin: "60px" });
  function look(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const view = [...views.values()].find((each) => each.element === target);
      view?.setVisible(isIntersecting);
      if (isIntersecting) view?.update(empty);
    }
  }

  const viewOf = (spec: Placed): ChartView => {
    let view = views.get(spec.key);
    if (!view) {
      view = chartView(spec, { lens, cursor, color, height, attach: menu.attach, enlarge: toggle, signal });
      views.set(spec.key, view);
      if (seen) seen.observe(view.element);
      else view.setVisible(true);
    } else if (view.spec !== spec) view.show(spec);
    return view;
  };

  function toggle(view: ChartView): void {
    enlarge(view.enlarged ? null : view);
  }

  function enlarge(view: ChartView | null): void {
    const before = enlarged === null ? null : views.get(enlarged);
    enlarged = view?.spec.key ?? null;
    before?.setEnlarged(false);
    view?.setEnlarged(true);
    setAttribute(element, "data-enlarged", enlarged === null ? null : "");
    (view ?? before)?.update(empty);
    (view ?? before)?.focus();
  }

  /** Puts every chart where it belongs, and makes only those that there is room for. */
  function arrange(): void {
    const wanted = search.value.trim();
    setShown(search, placed.length > MANY);
    const shown = placed.filter((each) => isShown(each) && (each.main || !wanted || matches(each.key, wanted)));
    const used = new Set<string>();
    const place = (container: Element, some: readonly Placed[]): void => {
      for (const { key } of some) used.add(key);
      fill(container, some.map((each) => viewOf(each).element));
    };
    place(mains, shown.filter(({ main }) => main));
    place(top, shown.filter((each) => !each.main && isPinned(each)));
    setShown(top, top.childElementCount > 0);
    for (const group of GROUPS) {
      const rest = shown.filter((each) => each.group === group && !each.main && !isPinned(each));
      let part = sections.get(group);
      if (!part && rest.length === 0) continue;
      if (!part) {
        part = section(group, (folded) => choose("folded", group, folded), arrange);
        sections.set(group, part);
        fill(small, [top, search, ...GROUPS.flatMap((each) => sections.get(each)?.element ?? [])]);
      }
      place(part.grid, part.show(rest, wanted === "" && (chosen.folded.get(group) ?? false)));
    }
    for (const [key, view] of views) {
      if (used.has(key)) continue;
      if (key === enlarged) enlarge(null);
      seen?.unobserve(view.element);
      view.remove();
      views.delete(key);
    }
  }

  const draw = (): void => {
    for (const view of views.values()) view.update(empty);
  };
  let frame = 0;
  const changed = lens.subscribe(() => {
    const { axis, smoothing } = lens.state;
    if (axis !== chosen.axis || smoothing !== chosen.smoothing) keepPreferences(storage, { axis, smoothing });
    Object.assign(chosen, { axis, smoothing });
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  });
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || enlarged === null) return;
    event.stopPropagation();
    enlarge(null);
  });
  signal.addEventListener(
    "abort",
    () => {
      changed();
      cancelAnimationFrame(frame);
      seen?.disconnect();
    },
    { once: true },
  );

  return {
    toolbar: tools.element,
    element,
    get main() {
      const first = placed.find(({ main }) => main);
      return first && views.get(first.key);
    },
    update(now, said) {
      empty = said;
      if (now !== placed) {
        placed = now;
        arrange();
      }
      draw();
    },
    recolor: () => {
      for (const view of views.values()) view.recolor();
    },
  };
}

/** Gives an element these children; those that stand where they should are not touched, and keep their focus. */
function fill(container: Element, children: readonly Element[]): void {
  children.forEach((child, k) => {
    if (container.children[k] !== child) container.insertBefore(child, container.children[k] ?? null);
  });
  while (container.children.length > children.length) container.lastElementChild!.remove();
}
