import { readFileSync } from 'node:fs'

const RULES = new URL('../../../deploy/prometheus/rules.yml', import.meta.url)
const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const
const DURATION = /\[(\d+)([smhd])\]|^( +for: )(\d+)([smhd])$/gm

type Unit = keyof typeof SECONDS
const isUnit = (text: string | undefined): text is Unit => text !== undefined && text in SECONDS

/** Our rules with an hour in a minute, for a Prometheus that looks every second. */
export const hurriedRules = (): string =>
  readFileSync(RULES, 'utf8').replace(DURATION, (whole, ...found: (string | undefined)[]) => {
    const [range, rangeUnit, indent, wait, waitUnit] = found
    if (isUnit(rangeUnit)) return `[${hurried(range, rangeUnit)}s]`
    return isUnit(waitUnit) ? `${indent}${hurried(wait, waitUnit)}s` : whole
  })

/** A rate needs two looks. */
const hurried = (count: string | undefined, unit: Unit) =>
  Math.max(3, Math.round((Number(count) * SECONDS[unit]) / 60))
