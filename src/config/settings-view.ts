import type { SettingReport } from '../config.ts'

/** What operators see of the settings in force: of a secret, whether it is set, and since when this process has it. */
export function createSettingsView(initial: readonly SettingReport[], now = () => new Date()) {
  const since = new Map<string, { digest: string; at: string }>()
  let report = initial

  function update(next: readonly SettingReport[]): void {
    report = next
    for (const { name, digest } of next)
      if (since.get(name)?.digest !== digest) since.set(name, { digest, at: now().toISOString() })
  }
  update(initial)

  return {
    update,
    shown: () =>
      report.map(({ name, from, value, secret }) =>
        secret
          ? { name, from, set: from !== 'default', since: since.get(name)?.at }
          : { name, from, value },
      ),
  }
}
