import type { Panel } from '../dashboard-queries.ts'
import type { Series } from './private-prometheus.ts'

export type Line = Series & { readonly name: string }

const UNIT = { width: 58, height: 30 }
const COLOURS = [
  '#56a64b',
  '#3274d9',
  '#e0752d',
  '#8f3bb8',
  '#e02f44',
  '#1fa8a0',
  '#c4a000',
  '#777',
]

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

const short = (value: number) =>
  value === 0 ? '0' : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(2)

const FORMATS: Readonly<Record<string, (value: number) => string>> = {
  percentunit: (value) => `${short(value * 100)}%`,
  s: (value) => (Math.abs(value) < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`),
  bytes: (value) => `${short(value / 1_048_576)} MiB`,
  reqps: (value) => `${short(value)}/s`,
  ops: (value) => `${short(value)}/s`,
}
const formatOf = ({ fieldConfig }: Panel) => FORMATS[fieldConfig?.defaults.unit ?? ''] ?? short

/** Draws the dashboard's panels where it puts them, plainly: this is a picture of the data, not of Grafana. */
export function picturePage(panels: readonly { panel: Panel; lines: readonly Line[] }[]): string {
  const bottom = Math.max(...panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h))
  const drawn = panels.map(({ panel, lines }) => {
    const { x, y, w, h } = panel.gridPos
    const box = `left:${x * UNIT.width}px;top:${y * UNIT.height}px;width:${w * UNIT.width - 8}px;height:${h * UNIT.height - 8}px`
    if (panel.type === 'row') return `<h2 style="${box}">${escaped(panel.title)}</h2>`
    const body = panel.type === 'stat' ? numbers(panel, lines) : chart(panel, lines)
    return `<section style="${box}"><h3>${escaped(panel.title)}</h3>${body}</section>`
  })
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 8px; width: ${24 * UNIT.width}px; height: ${bottom * UNIT.height}px; position: relative; font: 12px system-ui, sans-serif; color: #222; background: #f4f5f5 }
    section { position: absolute; background: #fff; border: 1px solid #dcdee1; box-sizing: border-box; padding: 4px 8px; overflow: hidden }
    h2 { position: absolute; margin: 0; font-size: 15px } h3 { margin: 0 0 4px; font-size: 12px }
    .numbers { display: flex; gap: 16px; font-size: 26px; padding-top: 8px } .numbers small { display: block; font-size: 11px; color: #666 }
    .legend { line-height: 1.35; font-size: 11px } .legend span { margin-right: 10px; white-space: nowrap }
  </style><body>${drawn.join('')}</body>`
}

const last = ({ points }: Line) => points.findLast(([, value]) => Number.isFinite(value))?.[1]

const numbers = (panel: Panel, lines: readonly Line[]) =>
  `<div class="numbers">${lines
    .map((line) => {
      const value = last(line)
      const shown = value === undefined ? 'no data' : formatOf(panel)(value)
      return `<div>${shown}<small>${escaped(line.name)}</small></div>`
    })
    .join('')}</div>`

function chart(panel: Panel, lines: readonly Line[]): string {
  const { w, h } = panel.gridPos
  const size = { width: w * UNIT.width - 90, height: h * UNIT.height - 90 }
  const shown = lines.filter((line) => line.points.some(([, value]) => value !== 0)).slice(0, 8)
  const points = shown.flatMap((line) => line.points).filter(([, value]) => Number.isFinite(value))
  const from = Math.min(...points.map(([at]) => at))
  const to = Math.max(...points.map(([at]) => at), from + 1)
  const top = Math.max(...points.map(([, value]) => value), 0) || 1
  const format = formatOf(panel)
  const paths = shown.map((line, index) => {
    const path = line.points
      .filter(([, value]) => Number.isFinite(value))
      .map(([at, value]) => {
        const x = (((at - from) / (to - from)) * size.width).toFixed(1)
        return `${x},${(size.height - (value / top) * size.height).toFixed(1)}`
      })
    return `<polyline fill="none" stroke="${COLOURS[index]}" stroke-width="1.5" points="${path.join(' ')}"/>`
  })
  const legend = shown.map(
    (line, index) => `<span style="color:${COLOURS[index]}">${escaped(line.name)}</span>`,
  )
  return `<svg width="${size.width + 66}" height="${size.height + 12}"><g transform="translate(60,6)">
    <path d="M0 0V${size.height}H${size.width}" fill="none" stroke="#ccc"/>
    <text x="-6" y="8" text-anchor="end" font-size="10">${format(top)}</text>
    <text x="-6" y="${size.height}" text-anchor="end" font-size="10">0</text>${paths.join('')}</g></svg>
    <div class="legend">${legend.join('')}</div>`
}
