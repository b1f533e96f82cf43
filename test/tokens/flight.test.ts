import { describe, expect, test } from 'vitest'
import { createFlights, createTurns } from '../../src/tokens/flight.ts'

/** Work that ends when the test says so. */
const held = () => Promise.withResolvers<string>()
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('a flight', () => {
  test('is found by its key while it is in the air, and by no other', async () => {
    const flights = createFlights<string>()
    const work = held()

    const flight = flights.launch('key', 'acme', 'caller', () => work.promise)

    expect(flights.find('key')).toBe(flight)
    expect(flights.find('another')).toBeUndefined()
    expect(flights.count).toBe(1)
    expect([flight.customerId, flight.urgency, flight.evicted]).toEqual(['acme', 'caller', false])
    work.resolve('token')
    expect(await flight.result).toBe('token')
  })

  test('is gone once whoever waits is told, so that a later caller starts afresh', async () => {
    const flights = createFlights<string>()
    const landed = flights.launch('key', 'acme', 'caller', async () => 'token')
    await landed.result

    expect(flights.find('key')).toBeUndefined()
    expect(flights.count).toBe(0)
  })

  test('that fails is shared and not remembered', async () => {
    const flights = createFlights<string>()
    const work = held()
    const flight = flights.launch('key', 'acme', 'caller', () => work.promise)
    const waiting = [flight.result, flights.find('key')?.result]

    work.reject(new Error('away'))

    for (const each of waiting) await expect(each).rejects.toThrow('away')
    expect(flights.find('key')).toBeUndefined()
    expect(flights.count).toBe(0)
  })

  test('that fails with nobody waiting harms nobody', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', note)

    createFlights<string>().launch('key', 'acme', 'background', async () => {
      throw new Error('away')
    })
    await settle()
    process.off('unhandledRejection', note)

    expect(unhandled).toEqual([])
  })

  test('knows itself: its work can see whether it has been evicted', async () => {
    const flights = createFlights<string>()
    const work = held()
    const flight = flights.launch('key', 'acme', 'caller', async (self) => {
      await work.promise
      return String(self.evicted)
    })

    flights.evict('acme')
    work.resolve('')

    expect(await flight.result).toBe('true')
  })
})

describe('an eviction', () => {
  const three = () => {
    const flights = createFlights<string>()
    const work = held()
    const launch = (key: string, customerId: string) =>
      flights.launch(key, customerId, 'caller', () => work.promise)
    return { flights, work, one: launch('one', 'acme'), two: launch('two', 'other') }
  }

  test("takes a customer's flights out of sight, and lets them land for whoever waits", async () => {
    const { flights, work, one, two } = three()

    flights.evict('acme')

    expect([flights.find('one'), flights.find('two')]).toEqual([undefined, two])
    expect([one.evicted, two.evicted]).toEqual([true, false])
    expect(flights.count).toBe(2)
    work.resolve('token')
    expect(await one.result).toBe('token')
    expect(flights.count).toBe(0)
  })

  test('of everybody takes all', () => {
    const { flights, one, two } = three()

    flights.evict(null)

    expect([flights.find('one'), flights.find('two')]).toEqual([undefined, undefined])
    expect([one.evicted, two.evicted]).toEqual([true, true])
  })

  test('reaches a flight that has been taken out of sight before', () => {
    const { flights, one } = three()
    flights.evict('acme')
    one.evicted = false

    flights.evict('acme')

    expect(one.evicted).toBe(true)
  })

  test('a later flight of the same key is not taken down when the evicted one lands', async () => {
    const { flights, work, one } = three()
    flights.evict('acme')
    const later = held()
    const second = flights.launch('one', 'acme', 'caller', () => later.promise)

    work.resolve('token')
    await one.result

    expect(flights.find('one')).toBe(second)
    expect(flights.count).toBe(1)
    later.resolve('newer')
    expect(await second.result).toBe('newer')
  })
})

describe('turns', () => {
  test('of one name come one after the other, in the order in which they were asked for', async () => {
    const turnOf = createTurns()
    const order: string[] = []
    const take = async (who: string) => {
      const end = await turnOf('acme')
      order.push(`${who} begins`)
      await settle()
      order.push(`${who} ends`)
      end()
    }

    await Promise.all([take('first'), take('second'), take('third')])

    expect(order).toEqual([
      'first begins',
      'first ends',
      'second begins',
      'second ends',
      'third begins',
      'third ends',
    ])
  })

  test('of another name do not wait', async () => {
    const turnOf = createTurns()
    await turnOf('acme')

    const end = await turnOf('other')

    expect(end).toBeTypeOf('function')
  })

  test('that are over are forgotten, and one that came meanwhile is not', async () => {
    const turnOf = createTurns()
    const endFirst = await turnOf('acme')
    const second = turnOf('acme')
    endFirst()
    const endSecond = await second
    let thirdHasBegun = false
    const third = turnOf('acme').then((end) => {
      thirdHasBegun = true
      return end
    })

    await settle()
    expect(thirdHasBegun).toBe(false)
    endSecond()
    ;(await third)()

    expect(await turnOf('acme')).toBeTypeOf('function')
  })
})
