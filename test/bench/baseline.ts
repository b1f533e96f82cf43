import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

/** Of bare Fastify's rate, by contestant: ratios hold on any machine, and requests per second do not. */
export type Ratios = Readonly<Record<string, number>>

const FILE = fileURLToPath(new URL('./baseline.json', import.meta.url))
const MOST_LOSS = 0.2

const Stored = z.record(z.string(), z.number())

/** `null`: there is none. */
export async function readBaseline(): Promise<Ratios | null> {
  const stored = await readFile(FILE, 'utf8').catch(() => null)
  return stored === null ? null : Stored.parse(JSON.parse(stored))
}

export const saveBaseline = (ratios: Ratios) =>
  writeFile(FILE, `${JSON.stringify(ratios, null, 2)}\n`)

/** What the broker has lost of more than a fifth, in words; one that is not there any more has lost all. */
export const losses = (before: Ratios, now: Ratios): string[] =>
  Object.entries(before)
    .filter(([name, was]) => name.startsWith('broker') && (now[name] ?? 0) < was * (1 - MOST_LOSS))
    .map(([name, was]) => `${name}: ${now[name] ?? 0} of bare Fastify, where it was ${was}`)
