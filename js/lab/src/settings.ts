// The user's settings, as schema/plugin.json describes them; where the page keeps none, what it says by itself.

import type { ISettingRegistry } from "@jupyterlab/settingregistry";

/** What a notification can be about; each has a switch of its own. */
export type Kind = "ended" | "failed" | "alert";

export interface Values {
  notify: Record<Kind, boolean>;
  sound: boolean;
  system: boolean;
}

export function valuesOf(composite: Record<string, unknown>): Values {
  const flag = (name: string, unset: boolean): boolean => (typeof composite[name] === "boolean" ? composite[name] : unset);
  return {
    notify: { ended: flag("notifyEnded", true), failed: flag("notifyFailed", true), alert: flag("notifyAlert", true) },
    sound: flag("sound", false),
    system: flag("systemNotifications", false),
  };
}

export class Settings {
  values = valuesOf({});
  private readonly listeners = new Set<() => void>();

  async load(registry: ISettingRegistry, plugin: string): Promise<void> {
    const settings = await registry.load(plugin);
    const take = (): void => {
      this.values = valuesOf(settings.composite);
      for (const listener of this.listeners) listener();
    };
    settings.changed.connect(take);
    take();
  }

  subscribe(listener: () => void): void {
    this.listeners.add(listener);
  }
}
