import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createIsoTime } from '../../src/iso-time.ts'

const LAST_OF_FOUR_DIGITS = Date.parse('9999-12-31T23:59:59.999Z')

test('every moment is told as Date tells it, whatever was told before', () => {
  const isoTime = createIsoTime()

  fc.assert(
    fc.property(fc.integer({ min: 0, max: LAST_OF_FOUR_DIGITS }), (moment) => {
      const text = new Date(moment).toISOString()
      expect(isoTime.milliseconds(moment)).toBe(text)
      expect(isoTime.seconds(moment)).toBe(`${text.slice(0, 19)}Z`)
    }),
  )
})

test('parts of a millisecond and of a second are dropped, never rounded up', () => {
  const isoTime = createIsoTime()
  const moment = Date.parse('2026-11-22T23:59:59.999Z') + 0.9

  expect(isoTime.milliseconds(moment)).toBe('2026-11-22T23:59:59.999Z')
  expect(isoTime.seconds(moment)).toBe('2026-11-22T23:59:59Z')
})
