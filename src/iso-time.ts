const DAY_MS = 86_400_000
const TWO_DIGITS = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'))

export type IsoTime = {
  /** In whole seconds, rounded down: a token is never said to live longer than it does. */
  seconds(epochMs: number): string
  milliseconds(epochMs: number): string
}

/**
 * RFC 3339 texts of moments. Each request has several, nearly all of one day, and `Date` takes longer over
 * one of them than all else that is written of a cached token: so the day's text is remembered.
 */
export function createIsoTime(): IsoTime {
  let day = Number.NaN
  let dayText = ''

  function untilSeconds(epochMs: number): string {
    const daysGone = Math.floor(epochMs / DAY_MS)
    if (daysGone !== day) {
      dayText = new Date(daysGone * DAY_MS).toISOString().slice(0, 11)
      day = daysGone
    }
    const ofDay = Math.floor((epochMs - daysGone * DAY_MS) / 1000)
    const minutes = Math.floor(ofDay / 60)
    return `${dayText}${TWO_DIGITS[Math.floor(minutes / 60)]}:${TWO_DIGITS[minutes % 60]}:${TWO_DIGITS[ofDay % 60]}`
  }

  return {
    seconds: (epochMs) => `${untilSeconds(epochMs)}Z`,
    milliseconds(epochMs) {
      const ofSecond = String(Math.floor(epochMs) % 1000).padStart(3, '0')
      return `${untilSeconds(epochMs)}.${ofSecond}Z`
    },
  }
}
