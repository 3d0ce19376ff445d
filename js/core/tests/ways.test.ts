// The ways to the server together: each stands in for those before it, no longer than they fail, and no point is lost or doubled.
import { expect, test } from "vitest";
import type { ConnectionState } from "../src/wire/connection";
import { IDLE } from "../src/wire/connection";
import { atWork, together, type Via } from "../src/wire/ladder";
import { portions } from "../src/wire/polling";
import { SILENCE_MS } from "../src/wire/relay";
import { dice } from "./dice";
import { JOB_ID, stepsOf, watching, type Ways } from "./ways";

const upTo = (n: number): number[] => Array.from({ length: n }, (_, k) => k + 1);

test("the best way is always tried, another while it fails, and asking only where somebody answers", () => {
  const failing: Partial<ConnectionState> = { phase: "waiting", attempt: 2, met: true };
  const live: Partial<ConnectionState> = { phase: "live", live: "live" };
  const at = (...states: Partial<ConnectionState>[]): boolean[] =>
    atWork(states.map((state, k) => ({ via: (["socket", "kernel", "polling"] as Via[])[k]!, state: { ...IDLE, ...state } })));
  expect(at({ phase: "opening" }, {}, {})).toEqual([true, false, false]);
  expect(at({ phase: "waiting", attempt: 1, met: true }, {}, {}), "a break is mostly over at once").toEqual([true, false, false]);
  expect(at(failing, {}, {})).toEqual([true, true, false]);
  expect(at({ ...failing, answers: true }, {}, {})).toEqual([true, true, true]);
  expect(at(failing, live, live)).toEqual([true, true, false]);
  expect(at(failing, failing, live)).toEqual([true, true, true]);
  expect(at(live, live, live)).toEqual([true, false, false]);
  expect(at(failing, { live: "ended" }, {})).toEqual([false, true, false]);
  expect(together([{ ...IDLE, live: "missing" }, { ...IDLE, live: "live" }], true)).toBe("live");
  expect(together([IDLE, IDLE], true)).toBe("reconnecting");
});

test("down from the socket to the kernel and to asking, and up again, as they break and come back", async () => {
  const { clock, server, sockets, kernel, store, channel } = watching();
  server.log(3);
  await clock.pass(1_000);
  expect([channel.live, channel.via]).toEqual(["live", "socket"]);
  sockets.set(false);
  expect(channel.live).toBe("reconnecting");
  server.log(2);
  await clock.pass(5_000);
  expect([channel.live, channel.via]).toEqual(["live", "kernel"]);
  expect(stepsOf(store)).toEqual(upTo(5));
  kernel.dead = true;
  server.log(2);
  await clock.pass(10_000);
  expect(channel.silent_ms).toBeGreaterThan(9_000);
  await clock.pass(3 * SILENCE_MS);
  expect([channel.live, channel.via]).toEqual(["live", "polling"]);
  expect(stepsOf(store)).toEqual(upTo(7));
  expect(channel.silent_ms).toBeLessThan(4_000);
  sockets.set(true);
  server.log(1);
  clock.woken();
  await clock.pass(1_000);
  expect([channel.live, channel.via]).toEqual(["live", "socket"]);
  const asked = server.asked.length;
  server.log(1);
  await clock.pass(60_000);
  expect(stepsOf(store)).toEqual(upTo(9));
  expect(server.asked.length, "nobody asks any more").toBe(asked);
});

test("with nothing left it says since when, and goes on behind what it has", async () => {
  const { clock, server, sockets, kernel, store, channel } = watching();
  server.log(4);
  await clock.pass(1_000);
  sockets.set(false);
  server.answers = false;
  kernel.dead = true;
  await clock.pass(100_000);
  expect(channel.live).toBe("reconnecting");
  expect(channel.silent_ms).toBeGreaterThanOrEqual(100_000);
  sockets.set(true);
  server.log(2);
  await clock.pass(20_000);
  expect([channel.live, channel.via]).toEqual(["live", "socket"]);
  expect(stepsOf(store)).toEqual(upTo(6));
});

test("a page elsewhere hears a busy kernel that it cannot ask, and no more of it than it asked for once it is idle", async () => {
  const { clock, server, kernel, store, channel } = watching({ foreign: true });
  kernel.set(true);
  server.log(3);
  await clock.pass(1_000);
  server.log(1);
  expect([channel.live, channel.via]).toEqual(["live", "kernel"]);
  kernel.cycle();
  server.log(1);
  expect(stepsOf(store)).toEqual(upTo(5));
  expect(kernel.heard).toEqual([]);
  kernel.set(false);
  server.log(1);
  await clock.pass(1_000);
  expect(channel.live).toBe("live");
  expect(stepsOf(store)).toEqual(upTo(6));
  const since = kernel.heard.filter(({ ask }) => ask === "pass").map(({ text }) => JSON.parse(text).since);
  expect(since[since.length - 1]).toBe(5);
  kernel.set(true);
  server.log(1);
  expect(stepsOf(store)).toEqual(upTo(7));
});

test("what was lost between kernel and page is noticed and fetched", async () => {
  const { clock, server, kernel, relay, store } = watching({ foreign: true });
  await clock.pass(1_000);
  server.log(2);
  kernel.losing = 1;
  server.log(2);
  server.log(2);
  await clock.pass(3_000);
  expect(stepsOf(store)).toEqual(upTo(6));
  const answer = relay.request(`api/training/jobs/${JOB_ID}`);
  await clock.pass(100);
  expect(await (await answer).json()).toMatchObject({ job_id: JOB_ID });
  const torn = relay.request("api/system");
  kernel.losing = 2;
  await Promise.all([expect(torn).rejects.toThrow("was lost"), clock.pass(100)]);
});

test("a request to a busy kernel is given up, and never made later", async () => {
  const { clock, server, kernel, relay } = watching({ foreign: true });
  await clock.pass(1_000);
  kernel.set(true);
  const asked = server.asked.length;
  await Promise.all([expect(relay.request("api/system")).rejects.toThrow("busy"), clock.pass(9_000)]);
  kernel.set(false);
  await clock.pass(1_000);
  expect(server.asked.length).toBe(asked);
});

test("a page that needs no kernel says so, and a view that is gone asks for nothing", async () => {
  const { kernel, relay, clock } = watching({ foreign: true });
  await clock.pass(1_000);
  relay.enough();
  await clock.pass(10);
  expect(kernel.declined).toBe(true);
  relay.close();
  await clock.pass(10);
  expect(kernel.heard[kernel.heard.length - 1]!.ask).toBe("close");
  await expect(relay.request("api/system")).rejects.toThrow();
});

test("names are asked for in portions that an address can bear", () => {
  const names = Array.from({ length: 230 }, (_, k) => `metric ${k}`);
  const all = portions([...names, "x".repeat(5_000), "ä".repeat(600)]);
  expect(all.flat()).toEqual([...names, "ä".repeat(600)]);
  for (const portion of all) {
    expect(portion.length).toBeLessThanOrEqual(100);
    expect(encodeURIComponent(portion.join("")).length).toBeLessThanOrEqual(4_000);
  }
});

test("whatever breaks, whenever, no point is lost and none is there twice", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = dice(seed);
    const ways: Ways = watching({ foreign: seed % 3 === 0 });
    const { clock, server, sockets, kernel, store, channel } = ways;
    const deeds: (() => void)[] = [
      () => sockets.set(!sockets.open),
      () => kernel.set(!kernel.busy),
      () => kernel.cycle(),
      () => kernel.break(),
      () => (kernel.dead = !kernel.dead),
      () => (kernel.losing = 1 + Math.floor(random() * 3)),
      () => (server.answers = !server.answers),
      () => clock.woken(),
    ];
    for (let k = 0; k < 60; k++) {
      server.log(Math.floor(random() * 3));
      if (random() < 0.4) deeds[Math.floor(random() * deeds.length)]!();
      await clock.pass(random() < 0.2 ? 20_000 * random() : 400 * random());
      expect(stepsOf(store), `seed ${seed}, deed ${k}`).toEqual(upTo(store.points_seq));
    }
    Object.assign(server, { answers: true });
    Object.assign(kernel, { dead: false, losing: 0 });
    kernel.set(false);
    sockets.set(true);
    server.log(1);
    await clock.pass(120_000);
    server.log(1);
    expect(channel.live, `seed ${seed}`).toBe("live");
    expect(channel.via, `seed ${seed}`).toBe(seed % 3 === 0 ? "kernel" : "socket");
    expect(stepsOf(store), `seed ${seed}`).toEqual(upTo(server.points));
  }
});
